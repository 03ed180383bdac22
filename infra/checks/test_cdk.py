"""The construct of the CDK beside the SAM template: for the same values the same resources, property by property. CDK_TEMPLATES is the
folder of the synthesized stacks (infra/cdk/test/everything.ts)."""

import json
import os
import pathlib
import re
import unittest

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

import template
from template import EVERYTHING, OUTSIDE_OF_ANY_VPC, SECRETS

TEMPLATES = pathlib.Path(os.environ["CDK_TEMPLATES"])
# the CDK has a construct for an endpoint, which the app gives to this one
WITHOUT_ENDPOINTS = {"CreateSecretsManagerEndpoint": "false", "CreateKmsEndpoint": "false", "VpcCidr": ""}
PSEUDO = {
    "AWS::AccountId": template.ACCOUNT, "AWS::Partition": "aws", "AWS::Region": template.REGION, "AWS::URLSuffix": "amazonaws.com"
}
# where the construct has another name than the template
NAMES = {
    "Role": "FunctionRole",
    "Topic/Policy": "TopicPolicy",
    "Function/SecretsManager": "SecretsManagerInvokes",
    "AgeCheck": "FunctionAgeCheck",
    "Network/SecurityGroup": "FunctionSecurityGroup",
    f"Topic/{EVERYTHING['AlarmEmail']}": "Email",
}
# what only one of them has, and why
SAMS_OWN = {
    "TheWay": "the construct makes dependencies in its place",
    "FirstDatabaseLetsTheFunctionIn": "a rule, below", "SecondDatabaseLetsTheFunctionIn": "a rule, below",
    "EndpointLetsTheFunctionIn": "a rule, below",
}


class Stack:
    """A synthesized stack, in the words of the template: its names, and texts in place of references."""

    def __init__(self, name):
        resources = json.loads((TEMPLATES / f"{name}.template.json").read_text())["Resources"]
        self.names = {logical: self.name(item["Metadata"]["aws:cdk:path"]) for logical, item in resources.items() if "Metadata" in item}
        self.resources = {self.names[logical]: self.told(item) for logical, item in resources.items() if logical in self.names}

    def name(self, path):
        inner = re.sub(r"/Resource$", "", path.split("/", 2)[2]) if path.count("/") > 1 else path
        inner = re.sub(r"^AgeCheck/AllowEventRule.*", "FunctionAgeCheckPermission", inner)
        secret, _, kind = inner.rpartition("/")
        if kind in ["ApplicationPolicy", "Schedule"]:
            (arn,) = [arn for arn in SECRETS if arn.endswith(f":{secret.replace('--', '/')}")]
            return kind + re.sub("[^A-Za-z0-9]", "", arn)
        return NAMES.get(inner, inner)

    def told(self, value, inside=False):
        """Without functions. Inside a text a reference has the form that Fn::Sub gives it."""
        if isinstance(value, list):
            return [self.told(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((function, argument),) = value.items() if len(value) == 1 else [(None, None)]
        if function == "Fn::Join":
            return argument[0].join(str(self.told(item, inside=True)) for item in argument[1])
        if function in ["Ref", "Fn::GetAtt"]:
            logical, *attribute = [argument] if function == "Ref" else argument
            if logical in PSEUDO:
                return PSEUDO[logical]
            word = ".".join([self.names.get(logical, logical), *attribute]).removesuffix(".GroupId")
            return f"${{{word}}}" if inside else word
        return {key: self.told(item) for key, item in value.items()}


def sam(parameters):
    """The template's resources, with those that SAM makes of its own kinds."""
    transformed = Translator({}, Parser()).translate(template.rendered(parameters), {})
    return template.made(transformed)


def comparable(name, properties):
    """Without what is not the same in two ways to write it."""
    properties = json.loads(json.dumps(properties))
    if name == "Function":
        del properties["Code"]  # a key in a bucket, or an asset
        properties.pop("Tags", None)  # SAM's own
        properties["Environment"] = {key: str(value) for key, value in properties["Environment"]["Variables"].items()}
    if name == "FunctionRole":
        for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
            statement.pop("Sid", None)
    if name == "FunctionAgeCheck":
        properties.pop("Description", None)
        properties["State"] = "ENABLED"
        for target in properties["Targets"]:
            target.pop("Id")
            target["Input"] = json.loads(target["Input"])
    if "RotateImmediatelyOnUpdate" in properties:
        properties["RotateImmediatelyOnUpdate"] = str(properties["RotateImmediatelyOnUpdate"]).lower()
    if "Principal" in properties:
        properties["FunctionName"] = properties["FunctionName"].removesuffix(".Arn")
    if name == "FunctionSecurityGroup":
        del properties["SecurityGroupEgress"]  # rules, below
    return template.plain(properties)


def rules(resources):
    """Every rule: which group, way, protocol, port, and to or from where."""
    found = set()
    for name, item in resources.items():
        given = item.get("Properties", {})
        for rule in given.get("SecurityGroupEgress", []):
            found.add((name, "out", rule["IpProtocol"], str(rule["FromPort"]), rule.get("DestinationSecurityGroupId") or rule["CidrIp"]))
        if item["Type"].startswith("AWS::EC2::SecurityGroup") and "GroupId" in given:
            way = "in" if item["Type"].endswith("Ingress") else "out"
            other = given.get("SourceSecurityGroupId") or given.get("DestinationSecurityGroupId")
            found.add((given["GroupId"], way, given["IpProtocol"], str(given["FromPort"]), other))
    return found


class Cdk(unittest.TestCase):
    maxDiff = None

    def compare(self, stack, parameters):
        ours, theirs = sam(parameters), Stack(stack).resources
        compared = set(ours) - set(SAMS_OWN)
        self.assertEqual(compared - set(theirs), set(), "the construct does not make these")
        for name in compared:
            with self.subTest(name):
                self.assertEqual(theirs[name]["Type"], ours[name]["Type"])
                self.assertEqual(comparable(name, theirs[name].get("Properties", {})), comparable(name, ours[name]["Properties"]))
                for policy in ["DeletionPolicy", "UpdateReplacePolicy"]:
                    self.assertEqual(theirs[name].get(policy), ours[name].get(policy))
        more = {item["Type"] for name, item in theirs.items() if name not in compared}
        self.assertLessEqual(more, {"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"}, "only the construct makes these")
        self.assertEqual(rules(theirs), rules(ours))

    def test_with_every_parameter_the_resources_are_those_of_the_sam_template(self):
        self.compare("Everything", EVERYTHING | WITHOUT_ENDPOINTS)

    def test_with_the_defaults_the_resources_are_those_of_the_sam_template(self):
        self.compare("Least", OUTSIDE_OF_ANY_VPC)

    def test_the_cdks_own_validation_finds_nothing_in_the_example(self):
        report = json.loads((TEMPLATES / "example/validation-report.json").read_text())
        self.assertEqual(report["pluginReports"], [])


if __name__ == "__main__":
    unittest.main()
