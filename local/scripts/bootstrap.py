"""bootstrap.py EXECUTABLE ZIP: makes a package for Lambda. Its bytes depend only on the executable and SOURCE_DATE_EPOCH."""

import os
import pathlib
import sys
import time
import zipfile

executable, package = map(pathlib.Path, sys.argv[1:])
entry = zipfile.ZipInfo("bootstrap", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6])
entry.create_system = 3  # Unix, for the file mode
entry.external_attr = 0o100755 << 16
with zipfile.ZipFile(package, "w") as archive:
    archive.writestr(entry, executable.read_bytes(), zipfile.ZIP_DEFLATED, 9)
