"""The Terraform module, applied to moto, beside the SAM template: the same parameters, policies, alarms and events."""

import json
import re
import shutil
import unittest

import template
import terraform_docs
from on_moto import OnMoto, by_address
from template import ACCEPTED, EVERYTHING, IN_A_VPC, OUTSIDE_OF_ANY_VPC, PACKAGE, REFUSED

NAMES = ["orders", "stock"]


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def cases():
    """What must be refused, with the variable that says so, and what must be accepted: as Terraform variables."""
    types = {name: body["type"] for name, body in terraform_docs.blocks(template.INFRA / "terraform", "variable").items()}

    def case(given, because=None):
        variables = {snake(name): value for name, value in given.items()}
        for name, value in variables.items():
            if "map" in types[name]:
                variables[name] = {str(index): item for index, item in enumerate(template.as_list(value))}
            elif "list" in types[name]:
                variables[name] = template.as_list(value)
        return variables, because and [f"var.{snake(because)}"]

    for where, base in [("outside_of_any_vpc", OUTSIDE_OF_ANY_VPC), ("in_a_vpc", IN_A_VPC)]:
        yield from (case(base | given, because) for because, given in REFUSED[where])
        yield from (case(base | given) for given in ACCEPTED[where])
    for name in REFUSED["alone"].keys() - PACKAGE.keys():
        yield from (case(OUTSIDE_OF_ANY_VPC | {name: value}, name) for value in REFUSED["alone"][name])
    for name in ACCEPTED["alone"].keys() - PACKAGE.keys():
        yield from (case(OUTSIDE_OF_ANY_VPC | {name: value}) for value in ACCEPTED["alone"][name])


def tidy(alarm):
    """An alarm without the fields that CloudWatch adds, and with its metrics in order."""
    alarm = {**alarm, "Threshold": float(alarm["Threshold"])}
    if metrics := alarm.get("Metrics"):
        metrics = sorted(metrics, key=lambda metric: metric["Id"])
        alarm["Metrics"] = [
            {key: value for key, value in metric.items() if not (key == "ReturnData" and value)} for metric in metrics
        ]
        for metric in alarm["Metrics"]:
            if "MetricStat" in metric and not metric["MetricStat"]["Metric"].get("Dimensions"):
                metric["MetricStat"]["Metric"].pop("Dimensions", None)
    return alarm


class Module(OnMoto):
    folders = ["", "examples/new-secret", "examples/existing-secret", "tests/beside"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ec2, kms = cls.aws("ec2"), cls.aws("kms")
        cls.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        cls.subnets = [
            ec2.create_subnet(VpcId=cls.vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"] for number in [1, 2]
        ]
        cls.databases = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=cls.vpc)["GroupId"] for name in NAMES
        ]
        cls.endpoints = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=cls.vpc)["GroupId"]
        cls.key = kms.create_key()["KeyMetadata"]["Arn"]
        cls.aws("logs").create_log_group(logGroupName="trail")
        layer = cls.aws("lambda").publish_layer_version(
            LayerName="roots", Content={"ZipFile": cls.terraform.package.read_bytes()}
        )
        service = cls.aws("secretsmanager")
        document = json.dumps({"username": "any", "password": "any"})
        cls.secrets = [service.create_secret(Name=f"{name}/db", SecretString=document)["ARN"] for name in NAMES]
        administrator = service.create_secret(Name="admin", SecretString=document)["ARN"]

        # the same values for both, in the form of each
        cls.parameters = EVERYTHING | {
            "SecretArns": cls.secrets,
            "AdministratorSecretArns": [administrator],
            "KmsKeyArns": [cls.key],
            "VpcId": cls.vpc,
            "SubnetIds": cls.subnets,
            "DatabaseSecurityGroupIds": cls.databases,
            "LayerArns": [layer["LayerVersionArn"]],
            "EndpointSecurityGroupIds": [cls.endpoints],
        }
        cls.variables = {snake(name): value for name, value in cls.parameters.items() if name not in PACKAGE} | {
            "package": str(cls.terraform.package),
            "secret_arns": dict(zip(NAMES, cls.secrets)),
            "create_secrets_manager_endpoint": True,
            "create_kms_endpoint": True,
        }
        example = {
            "package": str(cls.terraform.package),
            "database_host": "db.internal",
            "vpc_id": cls.vpc,
            "vpc_cidr": "10.0.0.0/16",
            "subnet_ids": cls.subnets,
            "database_security_group_id": cls.databases[0],
            "kms_key_arn": cls.key,
            "replica_regions": ["eu-west-1"],
            "alarm_email": "oncall@example.com",
        }
        cls.example = cls.terraform.plan("examples/new-secret", example)
        cls.sam = template.render(cls.parameters)
        # moto forgets a rotation's rules: the test reads them from the plan
        cls.planned = by_address(cls.terraform.plan("", cls.variables)["planned_values"])
        cls.terraform.apply("")
        cls.state = cls.terraform.resources("")

    def same(self, theirs, ours):
        """Equal except for the names that each gives its own resources."""
        names = {
            self.state["aws_iam_role.function"]["name"]: "${FunctionRole}",
            self.state["aws_sns_topic.alarms"]["arn"]: "Topic",
            self.state["aws_cloudwatch_log_group.function"]["arn"] + ":*": "LogGroup.Arn",
            self.state["aws_lambda_function.function"]["arn"]: "Function.Arn",
            self.state["aws_sfn_state_machine.restart[0]"]["arn"]: "Restart",
        }
        text = json.dumps(theirs)
        for name, word in names.items():
            text = text.replace(name, word)
        ours = json.loads(json.dumps(ours).replace(self.state["aws_lambda_function.function"]["arn"], "Function.Arn"))
        self.assertEqual(template.plain(json.loads(text)), template.plain(ours))

    def test_the_policies_are_those_of_the_sam_template(self):
        policies = {
            "FunctionRole": "aws_iam_role_policy.function",
            "OperatorPolicy": "aws_iam_policy.operator",
        }
        for name, secret in zip(NAMES, self.secrets):
            logical = "ApplicationPolicy" + re.sub("[^A-Za-z0-9]", "", secret)
            policies[logical] = f'aws_iam_policy.application["{name}"]'
        for sam, terraform in policies.items():
            with self.subTest(sam):
                self.same(json.loads(self.state[terraform]["policy"])["Statement"], template.statements(self.sam[sam]))
        trust = json.loads(self.state["aws_iam_role.function"]["assume_role_policy"])
        self.same(trust, self.sam["FunctionRole"]["Properties"]["AssumeRolePolicyDocument"])
        topic = json.loads(self.state["aws_sns_topic_policy.alarms"]["policy"])
        self.same(topic, self.sam["TopicPolicy"]["Properties"]["PolicyDocument"])

    def test_the_parameters_have_the_names_and_defaults_of_the_sam_templates(self):
        calls = self.example["configuration"]["root_module"]["module_calls"]
        for module, name, extra in [("rotation", "template.yaml", {"package", "tags"}), ("orders", "secret.yaml", {"tags"})]:
            theirs = calls[module]["module"]["variables"]
            parameters = template.read(name)["Parameters"].items()
            ours = {snake(key): value.get("Default") for key, value in parameters if key not in PACKAGE}
            self.assertEqual(set(theirs), set(ours) | extra)
            for variable, default in ours.items():
                value = theirs[variable].get("default")
                value = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
                value = ",".join(map(str, value)) if isinstance(value, list) else value
                self.assertEqual(value or "", default or "", variable)

    def test_the_alarms_are_those_of_the_sam_template(self):
        sam = {
            item["Properties"]["AlarmName"]: item["Properties"]
            for item in self.sam.values()
            if item["Type"] == "AWS::CloudWatch::Alarm"
        }
        terraform = {
            alarm["AlarmName"]: alarm for alarm in self.aws("cloudwatch").describe_alarms()["MetricAlarms"]
        }
        terraform = {name: alarm for name, alarm in terraform.items() if name.startswith("rotation-test-")}
        self.assertEqual(set(terraform), set(sam))
        for name, properties in sam.items():
            with self.subTest(name):
                standing = {key: terraform[name].get(key) for key in properties}
                self.same(tidy(standing), tidy(properties))

    def test_notifications_and_dashboard_are_the_same(self):
        rule = self.state["aws_cloudwatch_event_rule.rotation_failed"]
        self.same(json.loads(rule["event_pattern"]), self.sam["RotationFailed"]["Properties"]["EventPattern"])
        transformer = self.state["aws_cloudwatch_event_target.rotation_failed"]["input_transformer"][0]
        ours = self.sam["RotationFailed"]["Properties"]["Targets"][0]["InputTransformer"]
        self.same(
            {"InputPathsMap": transformer["input_paths"], "InputTemplate": transformer["input_template"]}, ours
        )
        pattern = self.state["aws_cloudwatch_log_metric_filter.unknown_readers[0]"]["pattern"]
        self.same(pattern, self.sam["UnknownReaders"]["Properties"]["FilterPattern"])
        body = json.loads(self.state["aws_cloudwatch_dashboard.rotation"]["dashboard_body"])
        ours = self.sam["Dashboard"]["Properties"]["DashboardBody"].replace("${LogGroup}", "/aws/lambda/rotation-test")
        self.same(body, json.loads(ours))

    def test_the_restart_of_services_is_that_of_the_sam_template(self):
        rule, machine, target = (
            self.state[f"aws_{kind}.restart[0]"]
            for kind in ["cloudwatch_event_rule", "sfn_state_machine", "cloudwatch_event_target"]
        )
        self.same(json.loads(rule["event_pattern"]), self.sam["RestartRule"]["Properties"]["EventPattern"])
        self.same(json.loads(machine["definition"]), json.loads(self.sam["Restart"]["Properties"]["DefinitionString"]))
        self.assertEqual((target["rule"], target["arn"]), (rule["name"], machine["arn"]))
        for sam, name, user in [
            ("RestartRuleRole", "restart_rule", target["role_arn"]),
            ("RestartRole", "restart", machine["role_arn"]),
        ]:
            role, ours = self.state[f"aws_iam_role.{name}[0]"], self.sam[sam]
            self.assertEqual(role["arn"], user)
            self.same(json.loads(role["assume_role_policy"]), ours["Properties"]["AssumeRolePolicyDocument"])
            policy = json.loads(self.state[f"aws_iam_role_policy.{name}[0]"]["policy"])
            self.same(policy["Statement"], template.statements(ours))

    def test_the_function_its_schedules_and_who_invokes_it_are_the_same(self):
        function = self.aws("lambda").get_function_configuration(FunctionName="rotation-test")
        ours = self.sam["Function"]["Properties"]
        for name in ["Runtime", "Handler", "Architectures", "MemorySize", "Timeout", "Description"]:
            self.same(function[name], ours[name])
        self.assertEqual([layer["Arn"] for layer in function["Layers"]], ours["Layers"])
        boundary = self.state["aws_iam_role.function"]["permissions_boundary"]
        self.assertEqual(boundary, self.sam["FunctionRole"]["Properties"]["PermissionsBoundary"])
        self.same(function["Environment"], ours["Environment"])
        for name, secret in zip(NAMES, self.secrets):
            address = f'aws_secretsmanager_secret_rotation.secret["{name}"]'
            rotation = self.planned[address]
            schedule = self.sam["Schedule" + re.sub("[^A-Za-z0-9]", "", secret)]["Properties"]
            rules = {
                "ScheduleExpression": rotation["rotation_rules"][0]["schedule_expression"],
                "Duration": rotation["rotation_rules"][0]["duration"],
            }
            self.assertEqual(rules, schedule["RotationRules"])
            self.assertEqual(str(rotation["rotate_immediately"]).lower(), schedule["RotateImmediatelyOnUpdate"])
            standing = self.aws("secretsmanager").describe_secret(SecretId=secret)
            self.assertEqual(standing["RotationLambdaARN"], function["FunctionArn"])
        policy = json.loads(self.aws("lambda").get_policy(FunctionName="rotation-test")["Policy"])
        who = {item["Principal"]["Service"]: item["Condition"] for item in policy["Statement"]}
        self.assertEqual(set(who), {"secretsmanager.amazonaws.com", "events.amazonaws.com"})
        self.assertEqual(who["secretsmanager.amazonaws.com"], {"StringEquals": {"AWS:SourceAccount": template.ACCOUNT}})
        age_check = self.state["aws_cloudwatch_event_target.age_check"]["input"]
        self.assertEqual(json.loads(age_check), {"Check": "age"})

    def test_the_function_reaches_the_database_the_endpoint_and_the_apis_alone(self):
        own = self.state["aws_security_group.function[0]"]["id"]
        group = self.aws("ec2").describe_security_groups(GroupIds=[own])["SecurityGroups"][0]
        ways = {
            (rule["IpProtocol"], rule["FromPort"], way)
            for rule in group["IpPermissionsEgress"]
            for way in [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] + [ip["CidrIp"] for ip in rule["IpRanges"]]
        }
        names = {
            "EndpointSecurityGroup": self.state["aws_security_group.endpoint[0]"]["id"],
            "FunctionSecurityGroup": own,
        }
        ours = self.sam["FunctionSecurityGroup"]["Properties"]["SecurityGroupEgress"]
        to = lambda rule: rule.get("DestinationSecurityGroupId") or rule["CidrIp"]
        expected = {(rule["IpProtocol"], int(rule["FromPort"]), names.get(to(rule), to(rule))) for rule in ours}
        self.assertEqual(ways, expected)

        ingress = {
            (item["GroupId"], int(item["FromPort"]))
            for item in (resource.get("Properties", {}) for resource in self.sam.values())
            if "SourceSecurityGroupId" in item
        }
        let_in = {
            (group["GroupId"], rule["FromPort"])
            for group in self.aws("ec2").describe_security_groups(GroupIds=[*self.databases, self.endpoints])["SecurityGroups"]
            for rule in group["IpPermissions"]
            if [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [own]
        }
        self.assertEqual(let_in, ingress)

    def test_a_vpc_that_cannot_reach_database_or_secrets_manager_is_refused(self):
        for changes, words in [
            (
                ["create_secrets_manager_endpoint=false", "endpoint_security_group_ids=[]", "api_cidr=", "vpc_cidr="],
                "cannot reach Secrets Manager",
            ),
            (["database_security_group_ids=[]", "database_cidrs=[]", "vpc_cidr="], "cannot reach the database"),
            (["subnet_ids=[]", "vpc_cidr="], "they put the function into the VPC"),
        ]:
            arguments = [f"-var={change}" for change in changes]
            result = self.terraform.run("", "plan", "-no-color", "-refresh=false", *arguments)
            self.assertNotEqual(result.returncode, 0)
            said = " ".join(result.stderr.replace("│", " ").split())
            self.assertIn(words, said)
            self.assertIn("otherwise it admits no one", said)

    def test_the_module_refuses_and_accepts_what_the_template_does(self):
        """As one `terraform test` of the variables alone: without a provider, hundreds of plans take seconds."""
        tried = list(cases())
        runs = {
            f"case_{number}": {"command": "plan", "variables": variables} | ({"expect_failures": because} if because else {})
            for number, (variables, because) in enumerate(tried)
        }
        folder = self.terraform.folder("variables")
        folder.mkdir()
        shutil.copy(template.INFRA / "terraform/variables.tf", folder)
        (folder / "cases.tftest.json").write_text(json.dumps({"variables": {"package": "variables.tf"}, "run": runs}))
        self.terraform.done("variables", "init", "-no-color")
        lines = map(json.loads, self.terraform.run("variables", "test", "-json").stdout.splitlines())
        ended = [line["test_run"] for line in lines if line["type"] == "test_run" and line["test_run"]["progress"] == "complete"]
        status = {run["run"]: run["status"] for run in ended}
        # after the first wrong case Terraform skips the rest
        wrong = [json.dumps(case) for number, case in enumerate(tried) if status[f"case_{number}"] not in ["pass", "skip"]]
        self.assertEqual("\n".join(wrong), "")
        self.assertEqual(set(status.values()), {"pass"})

    def test_the_modules_own_tests_pass(self):
        self.terraform.write("", {})
        self.addCleanup(self.terraform.write, "", self.variables)
        self.terraform.done("", "test", "-no-color")

    def test_rules_for_unknown_ids_are_made_at_apply(self):
        function = "module.later.aws_lambda_function.function"  # and its dependencies; moto rotates no secret without a value
        self.terraform.done("tests/beside", "apply", "-auto-approve", "-no-color", f"-target={function}")
        group = self.terraform.done("tests/beside", "state", "show", "-no-color", "module.later.aws_security_group.function[0]")
        self.assertEqual(group.count("description      ="), 7, group)
        self.assertEqual(group.count('"10.0.9.0/24"'), 5, group)
        self.terraform.destroy("tests/beside")

    def test_a_log_that_outlived_the_module_can_be_imported(self):
        address = "aws_cloudwatch_log_group.function"
        self.terraform.done("", "state", "rm", address)
        refused = self.terraform.run("", "apply", "-auto-approve", "-no-color", f"-target={address}")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("ResourceAlreadyExists", refused.stderr)
        self.terraform.done("", "import", "-no-color", address, "/aws/lambda/rotation-test")
        self.terraform.done("", "apply", "-auto-approve", "-no-color", f"-target={address}")

    def test_schedules_wait_for_every_rule_and_endpoint(self):
        schedule = (template.INFRA / "terraform/main.tf").read_text().split('"aws_secretsmanager_secret_rotation"')[1]
        waits = set(re.findall(r"(?m)^    (aws_\w+\.\w+),$", schedule.split("\n}\n")[0]))
        network = (template.INFRA / "terraform/network.tf").read_text()
        ways = re.findall(r'resource "(aws_vpc_security_group_\w+_rule|aws_vpc_endpoint)" "(\w+)"', network)
        self.assertEqual(
            waits - {"aws_lambda_permission.secrets_manager", "aws_security_group.function"}, {".".join(way) for way in ways}
        )

    def test_an_existing_secret_and_database_need_five_variables_at_most(self):
        example = {
            "package": str(self.terraform.package),
            "secret_arn": self.secrets[0],
            "vpc_id": self.vpc,
            "subnet_ids": self.subnets,
            "database_security_group_id": self.databases[0],
        }
        planned = self.terraform.plan("examples/existing-secret", example)
        needed = [name for name, value in planned["configuration"]["root_module"]["variables"].items() if "default" not in value]
        self.assertEqual(set(needed), set(example))
        self.assertLessEqual(len(needed), 5)

    def test_the_example_can_be_applied_and_destroyed(self):
        before = self.standing()
        self.terraform.apply("examples/new-secret")
        secret = self.aws("secretsmanager").describe_secret(SecretId="orders-example/db")
        self.assertEqual(secret["KmsKeyId"], self.key)
        self.assertEqual([replica["Region"] for replica in secret["ReplicationStatus"]], ["eu-west-1"])
        policy = self.aws("secretsmanager").get_resource_policy(SecretId="orders-example/db")["ResourcePolicy"]
        ours = template.render({"SecretName": "any", "SecretDocument": "{}"}, "secret.yaml")["Guard"]["Properties"]
        self.assertEqual(json.loads(policy), ours["ResourcePolicy"])
        self.assertTrue(secret["RotationLambdaARN"].endswith(":function:secret-rotation"))
        value = json.loads(self.aws("secretsmanager").get_secret_value(SecretId="orders-example/db")["SecretString"])
        self.assertEqual((value["username"], value["host"]), ("orders", "db.internal"))
        for kept in self.terraform.folder("examples/new-secret").glob("terraform.tfstate*"):
            text = kept.read_text().replace(r"\\u003c", "<").replace(r"\\u003e", ">").replace(r"\\u0026", "&")
            self.assertFalse(value["password"] in text, "the state holds the password")

        self.terraform.destroy("examples/new-secret")
        after = self.standing()
        self.assertEqual(after["logs"] - before["logs"], {"/aws/lambda/secret-rotation"}, "the log outlives the module")
        self.assertEqual(after["secrets"], before["secrets"], "it can be restored for thirty days")
        for kind in ["alarms", "roles", "policies", "groups", "functions", "rules", "topics"]:
            self.assertEqual(after[kind], before[kind])

    def standing(self):
        """The existing resources, by kind."""
        return {
            "logs": {item["logGroupName"] for item in self.aws("logs").describe_log_groups()["logGroups"]},
            "secrets": {item["ARN"] for item in self.aws("secretsmanager").list_secrets()["SecretList"]},
            "alarms": {item["AlarmName"] for item in self.aws("cloudwatch").describe_alarms()["MetricAlarms"]},
            "roles": {item["RoleName"] for item in self.aws("iam").list_roles()["Roles"]},
            "policies": {item["Arn"] for item in self.aws("iam").list_policies(Scope="Local")["Policies"]},
            "groups": {item["GroupId"] for item in self.aws("ec2").describe_security_groups()["SecurityGroups"]},
            "functions": {item["FunctionName"] for item in self.aws("lambda").list_functions()["Functions"]},
            "rules": {item["Name"] for item in self.aws("events").list_rules()["Rules"]},
            "topics": {item["TopicArn"] for item in self.aws("sns").list_topics()["Topics"]},
        }


if __name__ == "__main__":
    unittest.main()
