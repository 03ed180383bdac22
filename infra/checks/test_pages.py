"""The pages of infra/: what they say is what there is. SNAPSHOTS=overwrite rewrites the tables of the modules' inputs."""

import os
import re
import unittest

import template
import terraform_docs

README = (template.INFRA / "README.md").read_text()
MODULES = ["terraform", "terraform/modules/secret"]


def block(kind):
    """The commands of a block, each in one line."""
    text = re.search(rf"```sh {kind}\n(.*?)```", README, re.S).group(1)
    return text.replace("\\\n", " ").strip().splitlines()


def row(name):
    """The cells of a row of the first table."""
    return re.search(rf"(?m)^\| {name} \| (.*) \| (.*) \|$", README).groups()


class Pages(unittest.TestCase):
    def test_an_existing_secret_and_database_want_five_commands_and_five_parameters_at_most(self):
        sam, terraform = block("sam"), block("terraform")
        parameters = [re.findall(r"(\w+)=", sam[2].split("--parameter-overrides")[1]), re.findall(r"-var '?(\w+)=", terraform[2])]
        self.assertEqual(row("commands"), (str(len(sam)), str(len(terraform))))
        self.assertEqual(row("parameters"), tuple(str(len(names)) for names in parameters))
        for count in [len(sam), len(terraform), *map(len, parameters)]:
            self.assertLessEqual(count, 5)
        self.assertLessEqual(set(parameters[0]), set(template.read()["Parameters"]))
        example = terraform_docs.blocks(template.INFRA / "terraform/examples/existing-secret", "variable")
        self.assertEqual(set(parameters[1]), {name for name, body in example.items() if "default" not in body})

    def test_these_parameters_are_enough(self):
        given = {
            "SecretArns": "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf",
            "VpcId": "vpc-0123456789abcdef0",
            "SubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
            "DatabaseSecurityGroupIds": "sg-0123456789abcdef0",
            "EndpointSecurityGroupIds": "sg-0123456789abcdef1",
        }
        named = re.findall(r"(\w+)=", block("sam")[2].split("--parameter-overrides")[1])
        self.assertEqual(set(named), set(given))
        self.assertEqual(template.refused(given), [])

    def test_every_folder_that_is_named_is_there(self):
        for names in re.findall(r"(?m)^\| (`.*?) \|", README):
            for name in re.findall(r"`([^`]+)`", names):
                self.assertTrue((template.INFRA / name).exists(), name)

    def test_every_variable_takes_null_for_its_default(self):
        for module in MODULES:
            for name, body in terraform_docs.blocks(template.INFRA / module, "variable").items():
                self.assertEqual(body.get("nullable"), False, f"{module} {name}")

    def test_each_modules_readme_has_its_inputs_and_outputs(self):
        for module in MODULES:
            folder = template.INFRA / module
            page = (folder / "README.md").read_text()
            written = terraform_docs.inject(page, terraform_docs.tables(folder))
            if os.environ.get("SNAPSHOTS") == "overwrite":
                (folder / "README.md").write_text(written)
                page = written
            self.assertEqual(page, written, "SNAPSHOTS=overwrite make test-infra writes it anew")


if __name__ == "__main__":
    unittest.main()
