"""What matters of the SAM template, as CloudFormation would see it. (moto says CREATE_COMPLETE and makes no schedule, so a
stack there proves little.)"""

import json
import re
import unittest

from samcli.cli.types import CfnParameterOverridesType
from samcli.commands.deploy.guided_config import GuidedConfig

import template

EVERYTHING = json.loads((template.INFRA / "checks/everything.json").read_text())
SECRETS = EVERYTHING["SecretArns"]
POLICIES = ["FunctionRole", "OperatorPolicy", "ApplicationPolicyarnawssecretsmanageruseast1123456789012secretordersdbAbCdEf"]
# where AWS allows nothing narrower; the reasons stand in the template beside each
STARS = {
    "ListTheSecretsForTheAgeCheck", "ListTheSecrets", "AskForManyAtOnce", "FindWhoRead", "LetLambdaJoinTheVpc", "KeepTheVpcFromTheCode"
}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation-test"
ALL_SECRETS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:*"

# what neither SAM nor Terraform takes; test_terraform.py reads it too
REFUSED = json.loads((template.INFRA / "checks/refused.json").read_text())


def of_type(resources, kind):
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


class Template(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.full = template.render(EVERYTHING)
        cls.bare = template.render({"SecretArns": SECRETS[:1]})
        cls.source = (template.INFRA / "sam/template.yaml").read_text()

    def statements(self):
        for policy in POLICIES:
            for statement in template.statements(self.full[policy]):
                yield policy, statement

    def test_every_statement_has_a_name_of_its_own(self):
        names = [(policy, statement["Sid"]) for policy, statement in self.statements()]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 15)

    def test_a_star_stands_only_where_aws_allows_nothing_else_and_says_why(self):
        stars = {statement["Sid"] for _, statement in self.statements() if "*" in as_list(statement["Resource"])}
        self.assertEqual(stars, STARS)
        unexplained = re.findall(r'(?m)^ *Resource: "\*"$', self.source)
        self.assertEqual(len(unexplained), 1, "the Deny alone needs no reason")
        for _, statement in self.statements():
            if statement["Effect"] == "Allow":
                self.assertNotIn("*", "".join(as_list(statement["Action"])))

    def test_the_function_writes_only_secrets_that_were_given_to_it(self):
        writes = [
            statement
            for statement in template.statements(self.full["FunctionRole"])
            if any(re.match("secretsmanager:(Put|Update)", action) for action in as_list(statement["Action"]))
        ]
        self.assertEqual(len(writes), 1)
        self.assertEqual(writes[0]["Resource"], ALL_SECRETS)
        self.assertEqual(
            writes[0]["Condition"], {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": FUNCTION}}
        )

    def test_an_operator_changes_only_secrets_that_this_function_rotates(self):
        for statement in template.statements(self.full["OperatorPolicy"]):
            if re.search("secretsmanager:(Put|Update|Cancel|Rotate)", "".join(as_list(statement["Action"]))):
                condition = statement["Condition"]["StringEquals"]
                self.assertEqual(condition, {"secretsmanager:resource/AllowRotationLambdaArn": FUNCTION}, statement["Sid"])

    def test_two_hundred_secrets_stay_within_the_limits_of_iam_cloudformation_and_eventbridge(self):
        name = "team-orders/service-number-%03d/database"  # longer than most
        secrets = [f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name % n}-AbCdEf" for n in range(200)]
        resources = template.render({**EVERYTHING, "SecretArns": secrets})
        self.assertLess(len(resources), 500, "resources of a stack")
        for name, resource in resources.items():
            if resource["Type"] == "AWS::IAM::ManagedPolicy":
                document = json.dumps(resource["Properties"]["PolicyDocument"], separators=(",", ":"))
                self.assertLess(len(document), 6144, name)
            if resource["Type"] == "AWS::IAM::Role":
                self.assertLess(len(json.dumps(template.statements(resource), separators=(",", ":"))), 10240)
            if resource["Type"] == "AWS::Events::Rule":
                self.assertLess(len(json.dumps(resource["Properties"]["EventPattern"])), 2048)
        # what remains: a parameter has 4,096 characters
        arn = len(secrets[0]) + 1
        self.assertGreaterEqual(4096 // arn, 40)
        runbook = (template.INFRA.parent / "docs/operations.md").read_text()
        self.assertIn("4,096 characters", runbook)

    def test_a_key_is_used_through_secrets_manager_alone(self):
        uses = 0
        for _, statement in self.statements():
            if {"kms:Decrypt", "kms:GenerateDataKey"} & set(as_list(statement["Action"])):
                uses += 1
                condition = statement["Condition"]["StringEquals"]
                self.assertEqual(condition["kms:ViaService"], "secretsmanager.us-east-1.amazonaws.com")
        self.assertEqual(uses, 3, "the function, an application, the operator")

    def test_an_application_reads_one_secret(self):
        policies = of_type(self.full, "AWS::IAM::ManagedPolicy")
        read = [
            policy["PolicyDocument"]["Statement"][0]
            for name, policy in policies.items()
            if name.startswith("ApplicationPolicy")
        ]
        self.assertEqual([statement["Resource"] for statement in read], SECRETS)
        self.assertEqual({statement["Action"] for statement in read}, {"secretsmanager:GetSecretValue"})

    def test_an_operator_may_be_kept_from_the_values(self):
        names = [
            statement["Sid"]
            for statement in template.statements(
                template.render({**EVERYTHING, "OperatorReadsValues": "false"})["OperatorPolicy"]
            )
        ]
        self.assertIn("Rotate", names)
        for name in ["ReadAndMendTheSecrets", "ReadTheAdministrators", "UseTheKeysThroughSecretsManager", "AskForManyAtOnce"]:
            self.assertNotIn(name, names)

    def test_secrets_manager_of_this_account_alone_invokes_the_function(self):
        permissions = of_type(self.full, "AWS::Lambda::Permission")
        self.assertEqual(
            list(permissions.values()),
            [
                {
                    "FunctionName": "Function",
                    "Action": "lambda:InvokeFunction",
                    "Principal": "secretsmanager.amazonaws.com",
                    "SourceAccount": template.ACCOUNT,
                }
            ],
        )

    def test_each_secret_is_scheduled_once_the_function_may_be_invoked(self):
        schedules = of_type(self.full, "AWS::SecretsManager::RotationSchedule")
        self.assertEqual([schedule["SecretId"] for schedule in schedules.values()], SECRETS)
        for name, schedule in schedules.items():
            self.assertEqual(self.full[name]["DependsOn"], ["SecretsManagerInvokes", "TheWay"])
            self.assertEqual(schedule["RotateImmediatelyOnUpdate"], "false")
            self.assertEqual(
                schedule["RotationRules"], {"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"}
            )

    def test_a_schedule_waits_for_every_way_that_a_rotation_takes(self):
        waits = set(self.full["TheWay"]["Metadata"]["WaitsFor"]) - {""}
        ways = {
            name
            for name, item in self.full.items()
            if item["Type"] in ["AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::VPCEndpoint"]
        }
        self.assertEqual(waits, ways - {"KmsEndpoint"}, "a rotation does not call KMS")
        self.assertGreater(len(waits), 3)
        self.assertEqual(set(self.bare["TheWay"]["Metadata"]["WaitsFor"]), {""})

    def test_each_of_four_databases_has_a_rule_with_its_own_port_or_the_first(self):
        groups = [f"sg-0123456789abcde{number:02}" for number in range(4)]
        for ports, expected in [
            (["5432"], ["5432"] * 4),
            (["5432", "6432"], ["5432", "6432", "5432", "5432"]),
            (["1", "2", "3", "4"], ["1", "2", "3", "4"]),
        ]:
            resources = template.render({**EVERYTHING, "DatabaseSecurityGroupIds": groups, "DatabaseCidrs": [], "DatabasePorts": ports})
            ingress = of_type(resources, "AWS::EC2::SecurityGroupIngress")
            rules = [(rule["GroupId"], rule["FromPort"]) for rule in ingress.values() if rule["FromPort"] != 443]
            self.assertEqual(rules, list(zip(groups, expected)))
            egress = resources["FunctionSecurityGroup"]["Properties"]["SecurityGroupEgress"]
            ways = [(rule.get("DestinationSecurityGroupId"), rule["ToPort"]) for rule in egress]
            self.assertEqual(ways[:4], list(zip(groups, expected)))

    def test_the_function_reaches_the_database_the_endpoint_and_the_apis_alone(self):
        egress = self.full["FunctionSecurityGroup"]["Properties"]["SecurityGroupEgress"]
        ways = [
            (rule["FromPort"], rule["ToPort"], rule.get("DestinationSecurityGroupId") or rule["CidrIp"]) for rule in egress
        ]
        self.assertEqual(
            ways,
            [
                ("5432", "5432", EVERYTHING["DatabaseSecurityGroupIds"][0]),
                ("6432", "6432", EVERYTHING["DatabaseSecurityGroupIds"][1]),
                ("5432", "5432", EVERYTHING["DatabaseCidrs"][0]),
                (443, 443, "EndpointSecurityGroup"),
                (443, 443, EVERYTHING["EndpointSecurityGroupIds"][0]),
                (443, 443, EVERYTHING["ApiCidr"]),
                (53, 53, EVERYTHING["DnsCidr"]),
                (53, 53, EVERYTHING["DnsCidr"]),
            ],
        )
        self.assertEqual([rule["IpProtocol"] for rule in egress], ["tcp"] * 6 + ["udp", "tcp"])
        self.assertTrue(all(rule["Description"] for rule in egress))
        for rule in of_type(self.full, "AWS::EC2::SecurityGroupIngress").values():
            self.assertEqual(rule["SourceSecurityGroupId"], "FunctionSecurityGroup")

    def test_what_is_not_asked_for_is_not_made(self):
        self.assertFalse([name for name, item in self.bare.items() if "::EC2::" in item["Type"]])
        names = [statement["Sid"] for statement in template.statements(self.bare["FunctionRole"])]
        self.assertEqual(names, ["RotateTheSecrets", "ListTheSecretsForTheAgeCheck", "WriteTheLog"])
        self.assertNotIn("VpcConfig", self.bare["Function"]["Properties"])
        for name in ["Email", "OldestAgeAlarm", "UnknownReaders", "UnknownReadersAlarm"]:
            self.assertNotIn(name, self.bare)

    def test_no_secret_and_a_vpc_without_a_way_to_database_or_secrets_manager_are_refused(self):
        vpc = {
            "SecretArns": SECRETS[0],
            "VpcId": "vpc-0123456789abcdef0",
            "SubnetIds": "subnet-0123456789abcdef0",
            "DatabaseSecurityGroupIds": "sg-0123456789abcdef0",
        }
        self.assertEqual(template.refused({"SecretArns": ",".join(SECRETS)}), [])
        self.assertIn("SecretArns", "".join(template.refused({})))
        self.assertIn("no way to Secrets Manager", "".join(template.refused(vpc)))
        for way in [
            {"CreateSecretsManagerEndpoint": "true", "VpcCidr": "10.0.0.0/16"},
            {"EndpointSecurityGroupIds": "sg-0123456789abcdef1"},
            {"ApiCidr": "0.0.0.0/0"},
        ]:
            self.assertEqual(template.refused(vpc | way), [])
            without_database = vpc | way | {"DatabaseSecurityGroupIds": ""}
            self.assertIn("no way to the database", "".join(template.refused(without_database)))
            self.assertEqual(template.refused(without_database | {"DatabaseCidrs": "192.0.2.0/24"}), [])
            self.assertIn("goes SubnetIds", "".join(template.refused(vpc | way | {"SubnetIds": ""})))
        self.assertIn("VpcCidr", "".join(template.refused(vpc | {"CreateSecretsManagerEndpoint": "true"})))
        for name, value in vpc.items() | {("CreateSecretsManagerEndpoint", "true"), ("EndpointSecurityGroupIds", "sg-0123456789abcdef1")}:
            if name not in ["SecretArns", "VpcId"]:
                self.assertIn("want VpcId", "".join(template.refused({"SecretArns": SECRETS[0], name: value})))

    def test_every_alarm_tells_the_topic_and_has_its_section_in_the_runbook(self):
        runbook = (template.INFRA.parent / "docs/operations.md").read_text()
        alarms = of_type(self.full, "AWS::CloudWatch::Alarm")
        self.assertEqual(len(alarms), 9)
        for alarm in alarms.values():
            self.assertEqual(alarm["AlarmActions"], ["Topic"])
            # of an event that did not come again nobody says OK: it would read as if all were well
            of_a_state = alarm.get("MetricName") in ["Overdue"] or "oldest-age" in alarm["AlarmName"]
            self.assertEqual("OKActions" in alarm, of_a_state, alarm["AlarmName"])
            # nothing rings before there is anything to look at
            self.assertNotEqual(alarm["TreatMissingData"], "breaching")
            section = alarm["AlarmName"].removeprefix("rotation-test-")
            self.assertTrue(alarm["AlarmDescription"].endswith(f". docs/operations.md, {section}"))
            self.assertRegex(runbook, rf"(?m)^### {section}$")

    def test_an_age_check_that_ends_is_told(self):
        alarm = self.full["AgeCheckAlarm"]["Properties"]
        self.assertEqual((alarm["TreatMissingData"], alarm["InsufficientDataActions"]), ("missing", ["Topic"]))

    def test_two_deployments_in_an_account_do_not_ring_each_others_alarms(self):
        other = template.render({**EVERYTHING, "FunctionName": "other"})
        alarms = [of_type(resources, "AWS::CloudWatch::Alarm") for resources in [self.full, other]]
        for name, alarm in alarms[0].items():
            looked_at = [self.looked_at(side[name]) for side in alarms]
            self.assertNotEqual(*looked_at, name)
            self.assertIn("rotation-test", json.dumps(looked_at[0]))

    def looked_at(self, alarm):
        """The metrics of an alarm, with their dimensions."""
        one = [alarm] if "MetricName" in alarm else [
            query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query
        ]
        return [(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", [])) for metric in one]

    def test_failed_and_abandoned_rotations_and_tests_of_watched_secrets_go_to_the_topic(self):
        rule = self.full["RotationFailed"]["Properties"]
        self.assertEqual(
            rule["EventPattern"]["detail"],
            {
                "eventSource": ["secretsmanager.amazonaws.com"],
                "eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"],
                "additionalEventData": {"SecretId": [{"wildcard": EVERYTHING["WatchedSecrets"]}]},
            },
        )
        self.assertEqual(rule["Targets"][0]["Arn"], "Topic")
        publish = self.full["TopicPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
        self.assertEqual(publish["Principal"]["Service"], ["cloudwatch.amazonaws.com", "events.amazonaws.com"])

    def test_the_age_check_runs_every_hour(self):
        schedule = self.full["Function"]["Properties"]["Events"]["AgeCheck"]["Properties"]
        self.assertEqual(schedule["Schedule"], "rate(1 hour)")
        self.assertEqual(json.loads(schedule["Input"]), {"Check": "age"})

    def test_seven_known_readers_fit_into_the_pattern_for_unknown_ones(self):
        readers = [f"arn:aws:sts::123456789012:assumed-role/application-{number}/*" for number in range(7)]
        filter = template.render({**EVERYTHING, "KnownReaders": readers})["UnknownReaders"]["Properties"]
        self.assertLessEqual(len(filter["FilterPattern"]) + len("aws-generated-role-name"), 1024)
        for reader in readers:
            self.assertEqual(filter["FilterPattern"].count(f'($.userIdentity.arn != "{reader}")'), 1)
        self.assertIn('|| $.eventName = "BatchGetSecretValue")', filter["FilterPattern"])
        alone = template.render({**EVERYTHING, "KnownReaders": []})["UnknownReaders"]["Properties"]["FilterPattern"]
        self.assertEqual(alone.count("$.userIdentity.arn"), 1, "the function's own role")

    def test_the_dashboard_is_json_and_shows_each_metric(self):
        widgets = json.loads(self.full["Dashboard"]["Properties"]["DashboardBody"])["widgets"]
        shown = json.dumps(widgets)
        for metric in ["Rotations", "Failures", "Overdue", "OldestAge", "StepDuration", "Errors", "Throttles"]:
            self.assertIn(metric, shown)

    def test_the_environment_and_the_metrics_are_those_that_the_function_knows(self):
        source = "".join(path.read_text() for path in (template.INFRA.parent / "src").rglob("*.rs"))
        variables = self.full["Function"]["Properties"]["Environment"]["Variables"]
        self.assertEqual([name for name in variables if f'"{name}"' not in source], [])
        rendered = json.dumps(self.full).replace("\\", "")
        metrics = set(re.findall(r'\["SecretRotation", "(\w+)", "FunctionName", "', rendered))
        metrics |= set(re.findall(r'{SecretRotation,FunctionName,[\w,]+} MetricName="(\w+)"', rendered))
        metrics |= {
            metric
            for alarm in of_type(self.full, "AWS::CloudWatch::Alarm").values()
            for namespace, metric, _ in self.looked_at(alarm)
            if namespace == "SecretRotation" and "unknown-readers" not in metric
        }
        self.assertEqual(metrics, {"Rotations", "Failures", "StepDuration", "Overdue", "OldestAge"})
        self.assertEqual([metric for metric in metrics if f'!("{metric}"' not in source], [])

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

    def test_a_new_secret_needs_a_username_and_takes_no_password(self):
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

    def test_each_role_has_the_permissions_boundary(self):
        for name, role in of_type(self.full, "AWS::IAM::Role").items():
            self.assertEqual(role["PermissionsBoundary"], EVERYTHING["PermissionsBoundaryArn"], name)

    def test_every_default_comes_back_from_where_sam_keeps_it(self):
        for name in ["template.yaml", "secret.yaml"]:
            defaults = {key: str(value.get("Default", "")) for key, value in template.read(name)["Parameters"].items()}
            kept = " ".join(f"{key}={GuidedConfig.quote_parameter_values(value)}" for key, value in defaults.items())
            self.assertEqual(CfnParameterOverridesType().convert((kept,), None, None), defaults)

    def test_no_partition_and_no_domain_is_written_out(self):
        for partition, region, suffix in [
            ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
            ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ]:
            given = json.loads(json.dumps(EVERYTHING).replace("arn:aws:", f"arn:{partition}:").replace("us-east-1", region))
            rendered = json.dumps(template.render(given, partition=partition, region=region, suffix=suffix))
            self.assertNotIn("arn:aws:", rendered)
            self.assertNotIn("us-east-1", rendered)
            self.assertIn(f'"secretsmanager.{region}.{suffix}"', rendered)

    def test_a_first_deploy_that_failed_leaves_nothing_that_stops_the_next(self):
        kept = {name: item["DeletionPolicy"] for name, item in self.full.items() if "DeletionPolicy" in item}
        self.assertEqual(kept, {"LogGroup": "RetainExceptOnCreate"})

    def test_applications_policies_are_put_out(self):
        outputs = template.rendered({"SecretArns": SECRETS})["Outputs"]
        policies = [name for name, item in self.full.items() if name.startswith("ApplicationPolicy")]
        put_out = [value["Value"]["Fn::GetAtt"][0] for name, value in outputs.items() if name.startswith("ApplicationPolicyArn")]
        self.assertEqual(put_out, policies)

    def test_names_aliases_and_what_is_out_of_bounds_are_refused_by_a_parameter_of_its_own(self):
        for name, values in REFUSED.items():
            parameter = template.read()["Parameters"][name]
            for value in values:
                self.assertFalse(template.accepts(parameter, value), f"{name}={value}")
        for name, value in EVERYTHING.items():
            for item in value if isinstance(value, list) else [value]:
                self.assertTrue(template.accepts(template.read()["Parameters"][name], item), f"{name}={item}")

    def test_a_new_secret_is_guarded_from_deletion_unless_one_says_otherwise(self):
        parameters = {"SecretName": "orders/db", "SecretDocument": '{"username": "orders"}'}
        guard = template.render(parameters, "secret.yaml")["Guard"]["Properties"]["ResourcePolicy"]["Statement"]
        self.assertEqual([(one["Effect"], one["Action"]) for one in guard], [("Deny", "secretsmanager:DeleteSecret")])
        self.assertNotIn("Guard", template.render({**parameters, "DeletionGuard": "false"}, "secret.yaml"))

    def test_sam_builds_what_it_has_no_parameters_for(self):
        self.assertIn("Function", template.render({}))

    def test_every_parameter_stands_in_the_table_of_the_runbook_with_its_default(self):
        runbook = (template.INFRA.parent / "docs/operations.md").read_text()
        table = dict(re.findall(r"(?m)^\| `(\w+)` \|.*\| *(.*?) *\|$", runbook))
        parameters = {**template.read()["Parameters"], **template.read("secret.yaml")["Parameters"]}
        self.assertEqual(set(table), set(parameters))
        for name, parameter in parameters.items():
            default = parameter.get("Default")
            told = "required" if default is None or name == "SecretArns" else f"`{default}`" if default != "" else ""
            self.assertEqual(table[name].replace("``", "`"), told, name)


if __name__ == "__main__":
    unittest.main()
