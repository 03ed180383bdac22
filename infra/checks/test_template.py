"""What matters of the SAM template, as CloudFormation would see it. (moto says CREATE_COMPLETE and makes no schedule, so a
stack there proves little.)"""

import json
import re
import unittest

import template

EVERYTHING = json.loads((template.INFRA / "checks/everything.json").read_text())
SECRETS = EVERYTHING["SecretArns"]
POLICIES = ["FunctionRole", "OperatorPolicy", "ApplicationPolicyarnawssecretsmanageruseast1123456789012secretordersdbAbCdEf"]
# where AWS allows nothing narrower; the reasons stand in the template beside each
STARS = {"ListTheSecretsForTheAgeCheck", "ListTheSecrets", "AskForManyAtOnce", "LetLambdaJoinTheVpc", "KeepTheVpcFromTheCode"}


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
        self.assertEqual(writes[0]["Resource"], SECRETS)
        function = "arn:aws:lambda:us-east-1:123456789012:function:rotation-test"
        self.assertEqual(
            writes[0]["Condition"], {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function}}
        )

    def test_a_key_is_used_through_secrets_manager_alone(self):
        uses = 0
        for _, statement in self.statements():
            if {"kms:Decrypt", "kms:GenerateDataKey"} & set(as_list(statement["Action"])):
                uses += 1
                condition = statement["Condition"]["StringEquals"]
                self.assertEqual(condition["kms:ViaService"], "secretsmanager.us-east-1.amazonaws.com")
        self.assertEqual(uses, 4)

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
            self.assertEqual(self.full[name]["DependsOn"], "SecretsManagerInvokes")
            self.assertEqual(schedule["RotateImmediatelyOnUpdate"], "false")
            self.assertEqual(
                schedule["RotationRules"], {"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"}
            )

    def test_the_function_reaches_the_database_the_endpoint_and_the_apis_alone(self):
        egress = self.full["FunctionSecurityGroup"]["Properties"]["SecurityGroupEgress"]
        ways = [
            (rule["FromPort"], rule["ToPort"], rule.get("DestinationSecurityGroupId") or rule["CidrIp"]) for rule in egress
        ]
        self.assertEqual(
            ways,
            [
                (5432, 5432, EVERYTHING["DatabaseSecurityGroupId"]),
                (5432, 5432, EVERYTHING["DatabaseCidr"]),
                (443, 443, "EndpointSecurityGroup"),
                (443, 443, EVERYTHING["ApiCidr"]),
            ],
        )
        self.assertTrue(all(rule["Description"] for rule in egress))
        self.assertEqual(
            self.full["DatabaseLetsTheFunctionIn"]["Properties"]["SourceSecurityGroupId"], "FunctionSecurityGroup"
        )

    def test_what_is_not_asked_for_is_not_made(self):
        self.assertFalse([name for name, item in self.bare.items() if "::EC2::" in item["Type"]])
        names = [statement["Sid"] for statement in template.statements(self.bare["FunctionRole"])]
        self.assertEqual(names, ["RotateTheSecrets", "ListTheSecretsForTheAgeCheck", "WriteTheLog"])
        self.assertNotIn("VpcConfig", self.bare["Function"]["Properties"])
        for name in ["Email", "OldestAgeAlarm", "UnknownReaders", "UnknownReadersAlarm"]:
            self.assertNotIn(name, self.bare)

    def test_no_secret_and_a_vpc_without_a_way_to_database_or_secrets_manager_are_refused(self):
        vpc = {"SecretArns": SECRETS[0], "VpcId": "vpc-0123456789abcdef0", "DatabaseSecurityGroupId": "sg-0123456789abcdef0"}
        self.assertEqual(template.refused({"SecretArns": ",".join(SECRETS)}), [])
        self.assertIn("SecretArns", "".join(template.refused({})))
        self.assertIn("no way to Secrets Manager", "".join(template.refused(vpc)))
        for way in [
            {"CreateSecretsManagerEndpoint": "true", "VpcCidr": "10.0.0.0/16"},
            {"EndpointSecurityGroupId": "sg-0123456789abcdef1"},
            {"ApiCidr": "0.0.0.0/0"},
        ]:
            self.assertEqual(template.refused(vpc | way), [])
            without_database = vpc | way | {"DatabaseSecurityGroupId": ""}
            self.assertIn("no way to the database", "".join(template.refused(without_database)))
            self.assertEqual(template.refused(without_database | {"DatabaseCidr": "192.0.2.0/24"}), [])
        self.assertIn("VpcCidr", "".join(template.refused(vpc | {"CreateSecretsManagerEndpoint": "true"})))
        self.assertIn("want VpcId", "".join(template.refused({"SecretArns": SECRETS[0], "CreateSecretsManagerEndpoint": "true"})))

    def test_every_alarm_tells_the_topic_and_has_its_section_in_the_runbook(self):
        runbook = (template.INFRA.parent / "docs/operations.md").read_text()
        alarms = of_type(self.full, "AWS::CloudWatch::Alarm")
        self.assertEqual(len(alarms), 9)
        for alarm in alarms.values():
            self.assertEqual(alarm["AlarmActions"], ["Topic"])
            section = alarm["AlarmName"].removeprefix("rotation-test-")
            self.assertTrue(alarm["AlarmDescription"].endswith(f". docs/operations.md, {section}"))
            self.assertRegex(runbook, rf"(?m)^### {section}$")

    def test_failed_and_abandoned_rotations_of_these_secrets_go_to_the_topic(self):
        rule = self.full["RotationFailed"]["Properties"]
        self.assertEqual(
            rule["EventPattern"]["detail"],
            {
                "eventSource": ["secretsmanager.amazonaws.com"],
                "eventName": ["RotationFailed", "RotationAbandoned"],
                "additionalEventData": {"SecretId": SECRETS},
            },
        )
        self.assertEqual(rule["Targets"][0]["Arn"], "Topic")
        publish = self.full["TopicPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
        self.assertEqual(publish["Principal"]["Service"], ["cloudwatch.amazonaws.com", "events.amazonaws.com"])

    def test_the_age_check_runs_every_hour(self):
        schedule = self.full["Function"]["Properties"]["Events"]["AgeCheck"]["Properties"]
        self.assertEqual(schedule["Schedule"], "rate(1 hour)")
        self.assertEqual(json.loads(schedule["Input"]), {"Check": "age"})

    def test_eight_known_readers_fit_into_the_pattern_for_unknown_ones(self):
        readers = [f"arn:aws:sts::123456789012:assumed-role/application-{number}/*" for number in range(8)]
        filter = template.render({**EVERYTHING, "KnownReaders": readers})["UnknownReaders"]["Properties"]
        self.assertLessEqual(len(filter["FilterPattern"]) + len("aws-generated-role-name"), 1024)
        for reader in readers:
            self.assertEqual(filter["FilterPattern"].count(f'($.userIdentity.arn != "{reader}")'), 1)
        self.assertNotIn("||", filter["FilterPattern"])
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
        metrics = set(re.findall(r'\["SecretRotation", "(\w+)"', rendered))
        metrics |= set(re.findall(r'SecretRotation" MetricName="(\w+)"', rendered))
        metrics |= set(re.findall(r'"Namespace": "SecretRotation", "MetricName": "(\w+)"', rendered))
        metrics |= set(re.findall(r"SELECT \w+\((\w+)\)", rendered))
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
