"""bootstrap.py EXECUTABLE ZIP [NAME]: makes a package for Lambda, with the executable as NAME, or bootstrap.

Its bytes depend only on the executable and SOURCE_DATE_EPOCH.
"""

import os
import pathlib
import sys
import time
import zipfile

executable, package = map(pathlib.Path, sys.argv[1:3])
name = sys.argv[3] if len(sys.argv) > 3 else "bootstrap"
entry = zipfile.ZipInfo(name, time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6])
entry.create_system = 3  # Unix, for the file mode
entry.external_attr = 0o100755 << 16
with zipfile.ZipFile(package, "w") as archive:
    archive.writestr(entry, executable.read_bytes(), zipfile.ZIP_DEFLATED, 9)
