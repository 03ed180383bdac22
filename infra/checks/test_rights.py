"""The rights of each role, as CloudFormation would see them."""

import json
import re
import unittest

import template
from template import EVERYTHING, SECRETS, as_list, of_type

POLICIES = ["FunctionRole", "OperatorPolicy", "ApplicationPolicyarnawssecretsmanageruseast1123456789012secretordersdbAbCdEf"]
# where AWS allows nothing narrower; the template has the reason beside each
STARS = {
    "ListTheSecretsForTheAgeCheck", "ListTheSecrets", "AskForManyAtOnce", "FindWhoRead", "LetLambdaJoinTheVpc", "KeepTheVpcFromTheCode"
}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation-test"
ALL_SECRETS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:*"


class Rights(template.Rendered):
    def statements(self):
        for policy in POLICIES:
            for statement in template.statements(self.full[policy]):
                yield policy, statement

    def test_no_two_statements_have_the_same_name(self):
        names = [(policy, statement["Sid"]) for policy, statement in self.statements()]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 15)

    def test_a_star_is_only_where_aws_allows_nothing_narrower_and_has_a_reason(self):
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

    def test_an_operator_promotes_only_replicas_of_this_regions_secrets_that_the_deployment_watches(self):
        (promotes,) = [
            statement
            for statement in template.statements(self.full["OperatorPolicy"])
            if "secretsmanager:StopReplicationToReplica" in as_list(statement["Action"])
        ]
        self.assertEqual(
            promotes["Condition"],
            {
                "StringEquals": {"secretsmanager:SecretPrimaryRegion": "us-east-1"},
                "StringLike": {"secretsmanager:SecretId": EVERYTHING["WatchedSecrets"]},
            },
        )

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
        # the remaining limit: a parameter has 4,096 characters
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

    def test_an_operators_policy_can_exclude_the_values(self):
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

    def test_each_role_has_the_permissions_boundary(self):
        for name, role in of_type(self.full, "AWS::IAM::Role").items():
            self.assertEqual(role["PermissionsBoundary"], EVERYTHING["PermissionsBoundaryArn"], name)

    def test_applications_policies_are_outputs(self):
        outputs = template.rendered({"SecretArns": SECRETS})["Outputs"]
        policies = [name for name, item in self.full.items() if name.startswith("ApplicationPolicy")]
        put_out = [value["Value"]["Fn::GetAtt"][0] for name, value in outputs.items() if name.startswith("ApplicationPolicyArn")]
        self.assertEqual(put_out, policies)

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


if __name__ == "__main__":
    unittest.main()
