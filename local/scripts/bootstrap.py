"""bootstrap.py EXECUTABLE ZIP: a package for Lambda, whose bytes depend on the executable and SOURCE_DATE_EPOCH alone."""

import os
import pathlib
import sys
import time
import zipfile

executable, package = map(pathlib.Path, sys.argv[1:])
entry = zipfile.ZipInfo("bootstrap", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6])
entry.create_system = 3  # Unix, for the mode
entry.external_attr = 0o100755 << 16
with zipfile.ZipFile(package, "w") as archive:
    archive.writestr(entry, executable.read_bytes(), zipfile.ZIP_DEFLATED, 9)
