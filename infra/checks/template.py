"""The SAM templates as CloudFormation would see them, with SAM's own implementation of Fn::ForEach and the other functions."""

import json
import pathlib
import re
import unittest

from samcli.lib.cfn_language_extensions.api import process_template
from samcli.lib.cfn_language_extensions.exceptions import InvalidTemplateException
from samcli.lib.cfn_language_extensions.models import PseudoParameterValues
from samcli.yamlhelper import yaml_parse

INFRA = pathlib.Path(__file__).parent.parent
EVERYTHING = json.loads((INFRA / "checks/everything.json").read_text())  # a value for each parameter
SECRETS = EVERYTHING["SecretArns"]
# The package is in a bucket here, and in a file in Terraform. A rendered template has this one, unless the test gives another.
PACKAGE = {name: EVERYTHING[name] for name in ["PackageBucket", "PackageKey"]}
# What SAM and Terraform both refuse, and both accept: values of single parameters, and combinations. Each refused combination has the
# name that its message has to contain.
REFUSED, ACCEPTED = (json.loads((INFRA / f"checks/{name}.json").read_text()) for name in ["refused", "accepted"])
OUTSIDE_OF_ANY_VPC = {"SecretArns": SECRETS[:1]}
IN_A_VPC = OUTSIDE_OF_ANY_VPC | {
    "VpcId": "vpc-1",
    "SubnetIds": ["subnet-1", "subnet-2"],
    "DatabaseSecurityGroupIds": ["sg-1"],
    "ApiCidr": "0.0.0.0/0",
}
ACCOUNT, REGION = "123456789012", "us-east-1"


def read(name="template.yaml"):
    """A template as it is written."""
    return yaml_parse((INFRA / "sam" / name).read_text())


def rendered(parameters, name="template.yaml", partition="aws", region=REGION, suffix="amazonaws.com"):
    """The whole template with these parameters. A list is given as a list."""
    values = {key: text(value) for key, value in with_package(parameters, name).items()}
    pseudo = PseudoParameterValues(region=region, account_id=ACCOUNT, partition=partition, url_suffix=suffix)
    return process_template(read(name), values, pseudo)


def with_package(parameters, name):
    return (PACKAGE if name == "template.yaml" else {}) | parameters


def text(value):
    """A parameter as it is typed."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def render(parameters, name="template.yaml", **place):
    """Its resources with these parameters, by logical name."""
    return made(rendered(parameters, name, **place))


def made(template):
    """The resources whose condition holds, by logical name."""
    conditions = template.get("Conditions", {})
    return {
        logical: _finish(resource)
        for logical, resource in template["Resources"].items()
        if "Condition" not in resource or _holds({"Condition": resource["Condition"]}, {}, conditions)
    }


def statements(resource):
    """The statements of the one policy that a resource has."""
    properties = resource["Properties"]
    document = properties.get("PolicyDocument") or properties["Policies"][0]["PolicyDocument"]
    return document["Statement"]


def plain(value):
    """Without what YAML and HCL write differently: a list of one is its item, a number in a text is the text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return plain(value[0]) if len(value) == 1 else [plain(item) for item in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def refused(parameters, name="template.yaml"):
    """CloudFormation's errors for these parameters, before it makes anything; empty if it accepts them."""
    template = read(name)
    values = {key: text(parameter.get("Default", "")) for key, parameter in template["Parameters"].items()}
    values.update({key: text(value) for key, value in with_package(parameters, name).items()})
    said = [
        f"{key}: {parameter.get('ConstraintDescription')}"
        for key, parameter in template["Parameters"].items()
        if not all(accepts(parameter, item) for item in items(parameter, values[key]))
    ]
    said += [
        assertion["AssertDescription"]
        for rule in template.get("Rules", {}).values()
        if "RuleCondition" not in rule or _holds(rule["RuleCondition"], values)
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], values)
    ]
    if not said:
        try:
            rendered(parameters, name)
        except InvalidTemplateException as why:
            said.append(str(why))
    return said


def items(parameter, value):
    """What CloudFormation compares with the pattern: of a list each item, without spaces around it."""
    return [item.strip() for item in value.split(",")] if parameter["Type"] == "CommaDelimitedList" else [value]


def accepts(parameter, value):
    """Whether a parameter takes this value, or this item of a list, by its own bounds."""
    value = text(value)
    return (
        ("AllowedPattern" not in parameter or re.fullmatch(parameter["AllowedPattern"], value) is not None)
        and ("AllowedValues" not in parameter or value in map(str, parameter["AllowedValues"]))
        and ("MinValue" not in parameter or float(value) >= parameter["MinValue"])
        and ("MaxValue" not in parameter or float(value) <= parameter["MaxValue"])
    )


def _holds(condition, values, conditions=None):
    ((function, arguments),) = condition.items()
    if function == "Condition":
        return _holds(conditions[arguments], values, conditions)
    if function == "Fn::Contains":
        return arguments[1] in values[arguments[0]["Ref"]].split(",")
    if function == "Fn::EachMemberIn":
        some, all_of_them = (values[item["Ref"]].split(",") if isinstance(item, dict) else item for item in arguments)
        return set(some) <= set(all_of_them)
    if function == "Fn::Equals":
        left, right = (values[item["Ref"]] if isinstance(item, dict) else item for item in arguments)
        return left == right
    results = [_holds(argument, values, conditions) for argument in arguments]
    return {"Fn::Not": not results[0], "Fn::And": all(results), "Fn::Or": any(results)}[function]


def _finish(value):
    """Values that only a stack has: names and ARNs of resources."""
    if isinstance(value, list):
        return [_finish(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::GetAtt"}:
        return ".".join(value["Fn::GetAtt"])
    if set(value) == {"Ref"}:
        return value["Ref"]
    return {key: _finish(item) for key, item in value.items()}


def of_type(resources, kind):
    """The properties of the resources of one type, by logical name."""
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == kind}


def as_list(value):
    """A value as a list, as CloudFormation reads it."""
    return value if isinstance(value, list) else [value]


class Rendered(unittest.TestCase):
    """With the template rendered twice: with everything, and with the least."""

    @classmethod
    def setUpClass(cls):
        cls.full = render(EVERYTHING)
        cls.bare = render({"SecretArns": SECRETS[:1]})
        cls.source = (INFRA / "sam/template.yaml").read_text()
