"""The parameters, their bounds, and the runbook's table of them."""

import re
import unittest

from samcli.cli.types import CfnParameterOverridesType
from samcli.commands.deploy.guided_config import GuidedConfig
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

import template
from template import ACCEPTED, EVERYTHING, IN_A_VPC, OUTSIDE_OF_ANY_VPC, REFUSED


class Parameters(template.Rendered):
    def test_a_new_secret_has_its_key_and_its_replicas(self):
        parameters = {"SecretName": "orders/db", "SecretDocument": '{"username": "orders"}'}
        key = EVERYTHING["KmsKeyArns"][0]
        for regions in [[], ["eu-west-1"], ["eu-west-1", "eu-central-1"]]:
            secret = template.render({**parameters, "KmsKeyArn": key, "ReplicaRegions": regions}, "secret.yaml")["Secret"]
            replicas = secret["Properties"].get("ReplicaRegions", [])
            self.assertEqual([replica["Region"] for replica in replicas], regions)
            self.assertEqual(secret["Properties"]["KmsKeyId"], key)
            self.assertEqual(secret["DeletionPolicy"], "RetainExceptOnCreate", "a deployment that failed may be repeated")
            self.assertEqual(secret["UpdateReplacePolicy"], "Retain")

    def test_a_new_secret_needs_a_username_and_refuses_a_password(self):
        parameter = template.read("secret.yaml")["Parameters"]["SecretDocument"]
        fits = lambda document: bool(re.search(parameter["AllowedPattern"], document))
        full = '{"engine": "postgres", "host": "db", "port": 5432, "ssl": true, "username": "o\\"x", "masterarn": "arn:aws:s"}'
        for document in ['{"username":"orders"}', full, '{\n  "host" : "db",\n  "username" : "orders"\n}\n']:
            self.assertTrue(fits(document), document)
        for document in [
            "",
            "orders",
            "{}",
            '["username"]',
            '{"host": "db"}',
            '{"username": ""}',
            '{"username": "orders",}',
            '{"username": "orders"',
            "{'username': 'orders'}",
            '{"username": "orders", "password": "any"}',
            '{"password" : "any", "username": "orders"}',
        ]:
            self.assertFalse(fits(document), document)

    def test_every_setting_of_the_function_can_be_set(self):
        source = (template.INFRA.parent / "src/settings.rs").read_text()
        known = set(re.findall(r'"([A-Z][A-Z_]+[A-Z])"', source.split("#[cfg(test)]")[0]))
        self.assertEqual(set(self.full["Function"]["Properties"]["Environment"]["Variables"]) - {"LOG_LEVEL"}, known)
        self.assertEqual(self.full["Function"]["Properties"]["Layers"], EVERYTHING["LayerArns"])

    def test_sam_reads_back_every_default_that_it_saves(self):
        for name in ["template.yaml", "secret.yaml"]:
            defaults = {key: str(value.get("Default", "")) for key, value in template.read(name)["Parameters"].items()}
            kept = " ".join(f"{key}={GuidedConfig.quote_parameter_values(value)}" for key, value in defaults.items())
            self.assertEqual(CfnParameterOverridesType().convert((kept,), None, None), defaults)

    def test_a_first_deploy_that_failed_leaves_nothing_that_stops_the_next(self):
        kept = {name: item["DeletionPolicy"] for name, item in self.full.items() if "DeletionPolicy" in item}
        self.assertEqual(kept, {"LogGroup": "RetainExceptOnCreate"})

    def test_a_parameter_refuses_names_aliases_and_values_out_of_bounds(self):
        parameters = template.read()["Parameters"]
        for name, values in REFUSED["alone"].items():
            for value in values:
                self.assertFalse(template.accepts(parameters[name], value), f"{name}={value!r}")
        for name, values in ACCEPTED["alone"].items():
            for value in values:
                self.assertTrue(template.accepts(parameters[name], value), f"{name}={value!r}")
        self.assertEqual(template.refused(EVERYTHING), [])

    def test_a_wrong_combination_is_refused_by_name(self):
        for where, base in [("outside_of_any_vpc", OUTSIDE_OF_ANY_VPC), ("in_a_vpc", IN_A_VPC)]:
            for because, given in REFUSED[where]:
                with self.subTest(where, **given):
                    said = " ".join(template.refused(base | given))
                    self.assertIn(because, said)
            for given in ACCEPTED[where]:
                with self.subTest(where, **given):
                    self.assertEqual(template.refused(base | given), [])

    def test_a_list_with_a_fixed_number_of_places_refuses_one_more(self):
        """Terraform accepts any number of them, except of layers."""
        for name, base, item, most in [
            ("DatabaseSecurityGroupIds", IN_A_VPC, "sg-1", 4),
            ("DatabaseCidrs", IN_A_VPC, "192.0.2.0/24", 4),
            ("EndpointSecurityGroupIds", IN_A_VPC, "sg-1", 1),
            ("LayerArns", OUTSIDE_OF_ANY_VPC, EVERYTHING["LayerArns"][0], 5),
        ]:
            with self.subTest(name):
                self.assertEqual(template.refused(base | {name: [item] * most}), [])
                (said,) = template.refused(base | {name: [item] * (most + 1)})
                self.assertIn(name, said)
                self.assertIn(["", "one", "two", "three", "four", "five"][most], said)
        new = {"SecretName": "orders/db", "SecretDocument": '{"username": "orders"}'}
        regions = ["eu-west-1", "us-gov-east-1", "cn-north-1"]
        self.assertEqual(template.refused(new | {"ReplicaRegions": regions[:2]}, "secret.yaml"), [])
        self.assertIn("two", " ".join(template.refused(new | {"ReplicaRegions": regions}, "secret.yaml")))

    def test_every_pattern_says_what_it_accepts(self):
        for name in ["template.yaml", "secret.yaml"]:
            for parameter in template.read(name)["Parameters"].values():
                if "AllowedPattern" in parameter:
                    self.assertGreater(len(parameter["ConstraintDescription"]), 4)

    def test_with_the_longest_name_every_derived_name_fits(self):
        longest = ACCEPTED["alone"]["FunctionName"][0]
        resources = template.render(EVERYTHING | {"FunctionName": longest})
        secret = f"arn:aws-us-gov:secretsmanager:ap-southeast-1:123456789012:secret:{'x' * 160}-AbCdEf"
        made = template.rendered({"SecretArns": [secret]})
        for logical in [*made["Resources"], *made["Outputs"]]:
            self.assertLessEqual(len(logical), 255)
        self.assertTrue(template.refused({"SecretArns": [secret.replace("x-", "xx-")]}))
        rules = template.of_type(resources, "AWS::Events::Rule").values()
        for name in [rule["Name"] for rule in rules] + [f"{longest}-age-check"]:  # Terraform's third rule
            self.assertLessEqual(len(name), 64, name)

    def test_a_new_secret_is_guarded_from_deletion_unless_the_guard_is_off(self):
        parameters = {"SecretName": "orders/db", "SecretDocument": '{"username": "orders"}'}
        guard = template.render(parameters, "secret.yaml")["Guard"]["Properties"]["ResourcePolicy"]["Statement"]
        self.assertEqual([(one["Effect"], one["Action"]) for one in guard], [("Deny", "secretsmanager:DeleteSecret")])
        self.assertNotIn("Guard", template.render({**parameters, "DeletionGuard": "false"}, "secret.yaml"))

    def test_the_function_is_the_package_in_the_bucket_and_nothing_is_built(self):
        transformed = Translator({}, Parser()).translate(template.rendered(EVERYTHING), {})
        code = transformed["Resources"]["Function"]["Properties"]["Code"]
        self.assertEqual(code, {"S3Bucket": EVERYTHING["PackageBucket"], "S3Key": EVERYTHING["PackageKey"]})
        self.assertNotIn("Metadata", template.read()["Resources"]["Function"])

    def test_every_parameter_is_in_the_runbooks_table_with_its_default(self):
        operations = (template.INFRA.parent / "docs/operations.md").read_text()
        runbook = operations[: operations.index("\n## The function's settings\n")]
        table = dict(re.findall(r"(?m)^\| `(\w+)` \|.*\| *(.*?) *\|$", runbook))
        parameters = {**template.read()["Parameters"], **template.read("secret.yaml")["Parameters"]}
        self.assertEqual(set(table), set(parameters))
        for name, parameter in parameters.items():
            default = parameter.get("Default")
            told = "required" if default is None else f"`{default}`" if default != "" else ""
            self.assertEqual(table[name].replace("``", "`"), told, name)


if __name__ == "__main__":
    unittest.main()
