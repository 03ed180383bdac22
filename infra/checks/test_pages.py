"""The pages of infra/ match the files. SNAPSHOTS=overwrite rewrites the tables of the modules' inputs."""

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


def given(cloudformation):
    """The parameters of the command that deploys."""
    return re.findall(r"(\w+)=", cloudformation[1].split("--parameter-overrides")[1])


def row(name):
    """The cells of a row of the first table."""
    return re.search(rf"(?m)^\| {name} \| (.*) \| (.*) \| (.*) \|$", README).groups()


def lines(path):
    """The lines of an example that are neither empty nor a comment."""
    text = (template.INFRA / path).read_text().splitlines()
    return [line for line in text if line.strip() and not line.startswith("//")]


class Pages(unittest.TestCase):
    def test_an_existing_secret_and_database_need_four_commands_and_five_parameters_beside_the_package(self):
        cloudformation, terraform, cdk = block("cloudformation"), block("terraform"), block("cdk")
        parameters = [given(cloudformation), re.findall(r"-var '?(\w+)=", terraform[1])]
        self.assertEqual(row("commands"), tuple(str(len(commands)) for commands in [cloudformation, terraform, cdk]))
        self.assertEqual(row("parameters")[:2], tuple(str(len(names)) for names in parameters))
        self.assertLessEqual(len(cdk), 4)
        for commands, names in zip([cloudformation, terraform], parameters):
            self.assertLessEqual(len(commands), 4)
            self.assertLessEqual(len([name for name in names if not name.lower().startswith("package")]), 5)
        self.assertLessEqual(set(parameters[0]), set(template.read()["Parameters"]))
        example = terraform_docs.blocks(template.INFRA / "terraform/examples/existing-secret", "variable")
        self.assertEqual(set(parameters[1]), {name for name, body in example.items() if "default" not in body})

    def test_an_existing_secret_and_database_need_ten_lines_of_typescript_at_most(self):
        example = lines("cdk/example/app.ts")
        self.assertLessEqual(len(example), 10)
        for line in example:
            self.assertLessEqual(len(line), 140)
        values = re.findall(r"'(?:\d{12}|\w+-\w+-\d|[\w-]+\.zip|arn:.*?|(?:vpc|sg)-\w+)'", "\n".join(example))
        self.assertEqual(row("parameters")[2], f"{len(values)}, in ten lines of TypeScript")

    def test_these_parameters_are_enough(self):
        enough = template.PACKAGE | {
            "SecretArns": "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf",
            "VpcId": "vpc-0123456789abcdef0",
            "SubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
            "DatabaseSecurityGroupIds": "sg-0123456789abcdef0",
            "EndpointSecurityGroupIds": "sg-0123456789abcdef1",
        }
        self.assertEqual(set(given(block("cloudformation"))), set(enough))
        self.assertEqual(template.refused(enough), [])

    def test_a_deployment_from_a_package_needs_no_rust(self):
        for kind in ["cloudformation", "terraform", "cdk"]:
            for command in block(kind):
                for word in ["cargo", "make", "build", "rust"]:
                    self.assertNotIn(word, command)
        for path in [*(template.INFRA / "sam").iterdir(), *(template.INFRA / "terraform/examples").rglob("*.tf")]:
            self.assertNotRegex(path.read_text(), r"cargo|make build|sam build|BuildMethod", path)

    def test_the_package_is_for_arm64_like_the_function(self):
        self.assertEqual(template.read()["Resources"]["Function"]["Properties"]["Architectures"], ["arm64"])
        self.assertIn("secret-rotation-arm64.zip", block("cloudformation")[0])
        self.assertIn("-var package=secret-rotation-arm64.zip", block("terraform")[1])

    def test_every_named_folder_exists(self):
        for names in re.findall(r"(?m)^\| (`.*?) \|", README):
            for name in re.findall(r"`([^`]+)`", names):
                self.assertTrue((template.INFRA / name).exists(), name)

    def test_null_gives_every_variable_its_default(self):
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
            self.assertEqual(page, written, "SNAPSHOTS=overwrite make test-infra writes it again")


if __name__ == "__main__":
    unittest.main()
