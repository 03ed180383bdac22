"""sbom.py PACKAGE TARGET: a CycloneDX list of the crates that are in the package's executable, on stdout.

cargo-cyclonedx knows the workspace as a whole, where tests and other members ask for crates and features that the executable is built
without. `cargo tree` knows what a build of the one package takes: what it does not name is left out.
"""

import json
import pathlib
import subprocess
import sys

package, target = sys.argv[1:]
here = pathlib.Path.cwd()
written = f"*_bin_{target}.cdx.json"  # one beside each manifest of an executable


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


try:
    cargo("cyclonedx", "--quiet", "--format=json", "--spec-version=1.5", "--describe=binaries", f"--target={target}",
          "--target-in-filename")
    (found,) = [path for path in [*here.glob(written), *here.glob(f"*/{written}")] if path.name.startswith(f"{package}_bin_")]
    listed = found.read_text()
finally:
    for path in [*here.glob(written), *here.glob(f"*/{written}")]:
        path.unlink()

tree = cargo("tree", "--quiet", "--locked", f"--package={package}", f"--target={target}", "--edges=normal,build", "--prefix=none")
built = {tuple(line.split()[:2]) for line in tree.splitlines()}
sbom = json.loads(listed.replace(here.as_uri(), "file:///source"))  # no folder of this machine
kept = [one for one in sbom["components"] if (one["name"], "v" + one["version"]) in built]
names = {one["bom-ref"] for one in [*kept, sbom["metadata"]["component"]]}
missing = built - {(one["name"], "v" + one["version"]) for one in [*kept, sbom["metadata"]["component"]]}
if missing:
    sys.exit(f"cargo-cyclonedx does not list what {package} is built of: {missing}")
sbom["components"] = kept
sbom["dependencies"] = [
    one | {"dependsOn": [name for name in one.get("dependsOn", []) if name in names]}
    for one in sbom["dependencies"]
    if one["ref"] in names
]
json.dump(sbom, sys.stdout, indent=2)
print()
