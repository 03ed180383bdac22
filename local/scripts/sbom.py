"""sbom.py PACKAGE TARGET: prints a CycloneDX list of the crates in the package's executable.

cargo-cyclonedx lists the whole workspace, in which tests and other members add crates and features that the executable does not have.
`cargo tree` lists the crates of one package: the script removes all others.
"""

import json
import pathlib
import subprocess
import sys

package, target = sys.argv[1:]
here = pathlib.Path.cwd()
written = f"*_bin_{target}.cdx.json"  # one beside the manifest of each executable


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
sbom = json.loads(listed.replace(here.as_uri(), "file:///source"))  # no path of this machine
kept = [one for one in sbom["components"] if (one["name"], "v" + one["version"]) in built]
names = {one["bom-ref"] for one in [*kept, sbom["metadata"]["component"]]}
missing = built - {(one["name"], "v" + one["version"]) for one in [*kept, sbom["metadata"]["component"]]}
if missing:
    sys.exit(f"cargo-cyclonedx does not list these crates of {package}: {missing}")
sbom["components"] = kept
sbom["dependencies"] = [
    one | {"dependsOn": [name for name in one.get("dependsOn", []) if name in names]}
    for one in sbom["dependencies"]
    if one["ref"] in names
]
json.dump(sbom, sys.stdout, indent=2)
print()
