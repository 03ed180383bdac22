"""The connection to the databases and to Secrets Manager, and what waits for it. (moto says CREATE_COMPLETE and makes no schedule,
so a stack there proves little.)"""

import unittest

import template
from template import EVERYTHING, SECRETS, of_type


class Network(template.Rendered):
    def test_each_secret_is_scheduled_once_the_function_may_be_invoked(self):
        schedules = of_type(self.full, "AWS::SecretsManager::RotationSchedule")
        self.assertEqual([schedule["SecretId"] for schedule in schedules.values()], SECRETS)
        for name, schedule in schedules.items():
            self.assertEqual(self.full[name]["DependsOn"], ["SecretsManagerInvokes", "TheWay"])
            self.assertEqual(schedule["RotateImmediatelyOnUpdate"], "false")
            self.assertEqual(
                schedule["RotationRules"], {"ScheduleExpression": "cron(0 3 ? * SUN *)", "Duration": "3h"}
            )

    def test_a_schedule_waits_for_every_rule_and_endpoint_that_a_rotation_needs(self):
        waits = set(self.full["TheWay"]["Metadata"]["WaitsFor"]) - {""}
        ways = {
            name
            for name, item in self.full.items()
            if item["Type"] in ["AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::VPCEndpoint"]
        }
        self.assertEqual(waits, ways - {"KmsEndpoint"}, "a rotation does not call KMS")
        self.assertGreater(len(waits), 3)
        self.assertEqual(set(self.bare["TheWay"]["Metadata"]["WaitsFor"]), {""})

    def test_each_of_four_databases_has_a_rule_with_its_own_port_or_the_one_for_all(self):
        groups = [f"sg-0123456789abcde{number:02}" for number in range(4)]
        for ports, expected in [
            (["5432"], ["5432"] * 4),
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
                ("6432", "6432", EVERYTHING["DatabaseCidrs"][1]),
                (443, 443, "EndpointSecurityGroup"),
                (443, 443, EVERYTHING["EndpointSecurityGroupIds"][0]),
                (443, 443, EVERYTHING["ApiCidr"]),
                (53, 53, EVERYTHING["DnsCidr"]),
                (53, 53, EVERYTHING["DnsCidr"]),
            ],
        )
        self.assertEqual([rule["IpProtocol"] for rule in egress], ["tcp"] * 7 + ["udp", "tcp"])
        for rule in of_type(self.full, "AWS::EC2::SecurityGroupIngress").values():
            self.assertEqual(rule["SourceSecurityGroupId"], "FunctionSecurityGroup")

    def test_every_rule_and_group_has_a_description_in_characters_that_ec2_accepts(self):
        groups = of_type(self.full, "AWS::EC2::SecurityGroup").values()
        said = [group["GroupDescription"] for group in groups]
        rules = [rule for group in groups for way in ["Ingress", "Egress"] for rule in group.get(f"SecurityGroup{way}", [])]
        rules += of_type(self.full, "AWS::EC2::SecurityGroupIngress").values()
        said += [rule["Description"] for rule in rules]
        self.assertGreater(len(said), 10)
        for text in said:
            self.assertRegex(text, r"^[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{1,255}$")

    def test_without_a_vpc_no_network_resource_is_made(self):
        self.assertFalse([name for name, item in self.bare.items() if "::EC2::" in item["Type"]])
        names = [statement["Sid"] for statement in template.statements(self.bare["FunctionRole"])]
        self.assertEqual(names, ["RotateTheSecrets", "ListTheSecretsForTheAgeCheck", "WriteTheLog"])
        self.assertNotIn("VpcConfig", self.bare["Function"]["Properties"])
        for name in ["Email", "OldestAgeAlarm", "UnknownReaders", "UnknownReadersAlarm"]:
            self.assertNotIn(name, self.bare)

    def test_no_secret_and_a_vpc_that_cannot_reach_database_or_secrets_manager_are_refused(self):
        vpc = {
            "SecretArns": SECRETS[0],
            "VpcId": "vpc-0123456789abcdef0",
            "SubnetIds": "subnet-0123456789abcdef0",
            "DatabaseSecurityGroupIds": "sg-0123456789abcdef0",
        }
        self.assertEqual(template.refused({"SecretArns": ",".join(SECRETS)}), [])
        self.assertIn("SecretArns", "".join(template.refused({})))
        self.assertIn("cannot reach Secrets Manager", "".join(template.refused(vpc)))
        for way in [
            {"CreateSecretsManagerEndpoint": "true", "VpcCidr": "10.0.0.0/16"},
            {"EndpointSecurityGroupIds": "sg-0123456789abcdef1"},
            {"ApiCidr": "0.0.0.0/0"},
        ]:
            self.assertEqual(template.refused(vpc | way), [])
            without_database = vpc | way | {"DatabaseSecurityGroupIds": ""}
            self.assertIn("cannot reach the database", "".join(template.refused(without_database)))
            self.assertEqual(template.refused(without_database | {"DatabaseCidrs": "192.0.2.0/24"}), [])
            self.assertIn("needs SubnetIds", "".join(template.refused(vpc | way | {"SubnetIds": ""})))
        self.assertIn("VpcCidr", "".join(template.refused(vpc | {"CreateSecretsManagerEndpoint": "true"})))
        for name, value in vpc.items() | {("CreateSecretsManagerEndpoint", "true"), ("EndpointSecurityGroupIds", "sg-0123456789abcdef1")}:
            if name not in ["SecretArns", "VpcId"]:
                self.assertIn("need VpcId", "".join(template.refused({"SecretArns": SECRETS[0], name: value})))


if __name__ == "__main__":
    unittest.main()
