"""The tables of a module's README, as terraform-docs writes them with infra/terraform/.terraform-docs.yml. (terraform-docs is not on PyPI.)"""

import json
import pathlib

import hcl2

BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"


def blocks(folder, kind):
    """The blocks of one kind, by name."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.tf")):
        for block in hcl2.loads(path.read_text()).get(kind, []):
            found |= {plain(name): body for name, body in block.items() if name != "__is_block__"}
    return found


def plain(value):
    """A text without HCL's quotes, an expression without its braces."""
    if isinstance(value, str) and value.startswith('"'):
        return json.loads(value)
    return value[2:-1] if isinstance(value, str) and value.startswith("${") else value


def table(head, rule, rows):
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def tables(folder):
    """The three sections."""
    versions = hcl2.loads((pathlib.Path(folder) / "versions.tf").read_text())["terraform"][0]
    requirements = [("terraform", plain(versions["required_version"]))]
    for name, provider in versions["required_providers"][0].items():
        if name != "__is_block__":
            requirements.append((name, plain(provider["version"])))
    inputs = []
    for name, body in blocks(folder, "variable").items():
        default = f"`{json.dumps(plain(body['default']), ensure_ascii=False)}`" if "default" in body else "n/a"
        needed = "no" if "default" in body else "yes"
        inputs.append((name, plain(body["description"]), f"`{plain(body['type'])}`", default, needed))
    inputs.sort(key=lambda row: (row[4] == "no", row[0]))
    outputs = sorted((name, plain(body["description"])) for name, body in blocks(folder, "output").items())
    return "\n\n".join([
        "## Requirements", table(["Name", "Version"], "|------|---------|", requirements),
        "## Inputs", table(["Name", "Description", "Type", "Default", "Required"], "|------|-------------|------|---------|:--------:|", inputs),
        "## Outputs", table(["Name", "Description"], "|------|-------------|", outputs),
    ])


def inject(page, text):
    """The page with this text between the marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
