"""Applications that read their secret only at start: which event restarts which services, with which rights, and what happens
when one fails. The state machine runs on moto."""

import json
import re
import unittest
from unittest import mock

import boto3
from moto import mock_aws
from moto.events.models import EventPattern
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as tasks

import template

SECRETS = [f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}/db-AbCdEf" for name in ["orders", "stock"]]
SERVICES = [f"arn:aws:ecs:us-east-1:123456789012:service/shop/{name}" for name in ["orders", "stock"]]
EVENT = {  # from Secrets Manager's user guide
    "version": "0",
    "detail-type": "Secret Label Updated",
    "source": "aws.secretsmanager",
    "account": "123456789012",
    "region": "us-east-1",
    "resources": SECRETS[:1],
    "detail": {"name": "orders/db", "labelUpdated": "AWSCURRENT", "versionId": "a1b2c3d4-5678-90ab-cdef-111111111111"},
}
MADE = {"RestartRule", "RestartRuleRole", "Restart", "RestartRole", "RestartAlarm"}


def render(**parameters):
    return template.render({"SecretArns": SECRETS, **parameters})


class Restart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = render(RestartEcsServices=SERVICES)

    def statement(self, role):
        (statement,) = template.statements(self.resources[role])
        return statement["Action"], statement["Resource"]

    def trust(self, role):
        (statement,) = self.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(statement["Condition"], {"StringEquals": {"aws:SourceAccount": template.ACCOUNT}})
        return statement["Principal"]

    def pattern(self, resources):
        """Whether an event starts it."""
        pattern = resources["RestartRule"]["Properties"]["EventPattern"]
        return EventPattern.load(json.dumps(pattern)).matches_event

    def test_without_services_nothing_is_made(self):
        self.assertEqual({name for name in render() if "Restart" in name}, set())
        self.assertEqual({name for name in self.resources if "Restart" in name}, MADE)

    def test_it_starts_when_awscurrent_moves(self):
        starts = self.pattern(self.resources)
        self.assertTrue(starts(EVENT))
        self.assertTrue(starts(EVENT | {"resources": SECRETS[1:]}))
        self.assertFalse(starts(EVENT | {"detail": EVENT["detail"] | {"labelUpdated": "first"}}))
        self.assertFalse(starts(EVENT | {"source": "another.service"}))
        self.assertFalse(starts(EVENT | {"detail-type": "AWS Service Event via CloudTrail"}))

    def test_the_secrets_are_the_watched_or_the_named_ones(self):
        starts = self.pattern(render(RestartEcsServices=SERVICES, WatchedSecrets="*stock/*"))
        self.assertTrue(starts(EVENT | {"resources": SECRETS[1:]}))
        self.assertFalse(starts(EVENT))
        starts = self.pattern(render(RestartEcsServices=SERVICES, RestartSecrets=SECRETS[1:]))
        self.assertTrue(starts(EVENT | {"resources": SECRETS[1:]}))
        self.assertFalse(starts(EVENT))

    def test_the_rule_starts_this_state_machine_and_does_nothing_else(self):
        (target,) = self.resources["RestartRule"]["Properties"]["Targets"]
        self.assertEqual((target["Arn"], target["RoleArn"]), ("Restart", "RestartRuleRole.Arn"))
        self.assertEqual(self.trust("RestartRuleRole"), {"Service": "events.amazonaws.com"})
        self.assertEqual(self.statement("RestartRuleRole"), ("states:StartExecution", "Restart"))

    def test_the_state_machine_updates_these_services_and_does_nothing_else(self):
        self.assertEqual(self.resources["Restart"]["Properties"]["RoleArn"], "RestartRole.Arn")
        self.assertEqual(self.trust("RestartRole"), {"Service": "states.amazonaws.com"})
        self.assertEqual(self.statement("RestartRole"), ("ecs:UpdateService", SERVICES))

    def test_an_arn_without_a_cluster_and_one_of_something_else_are_refused(self):
        pattern = template.read()["Parameters"]["RestartEcsServices"]["AllowedPattern"]
        for arn in ["", *SERVICES, "arn:aws-us-gov:ecs:us-gov-west-1:123456789012:service/a-b/c_d"]:
            self.assertTrue(re.fullmatch(pattern, arn), arn)
        for arn in [
            "orders",
            "arn:aws:ecs:us-east-1:123456789012:service/orders",
            "arn:aws:ecs:us-east-1:123456789012:service/shop/*",
            "arn:aws:ecs:us-east-1:123456789012:cluster/shop/orders",
            "arn:aws:lambda:us-east-1:123456789012:service/shop/orders",
            'arn:aws:ecs:us-east-1:123456789012:service/shop/o", "x',
        ]:
            self.assertFalse(re.search(pattern, arn), arn)

    def test_secrets_without_services_are_refused(self):
        given = {"SecretArns": ",".join(SECRETS), "RestartEcsServices": ",".join(SERVICES)}
        for named in ["", SECRETS[0], ",".join(SECRETS)]:
            self.assertEqual(template.refused(given | {"RestartSecrets": named}), [])
        alone = {"SecretArns": given["SecretArns"], "RestartSecrets": SECRETS[0]}
        self.assertIn("needs RestartEcsServices", "".join(template.refused(alone)))

    def test_the_alarm_sees_an_execution_that_failed_or_hung_and_an_event_that_was_not_delivered(self):
        alarm = self.resources["RestartAlarm"]["Properties"]
        self.assertEqual(alarm["AlarmActions"], ["Topic"])
        total, *metrics = alarm["Metrics"]
        self.assertEqual(set(re.findall(r"FILL\((\w+), 0\)", total["Expression"])), {metric["Id"] for metric in metrics})
        watched = [metric["MetricStat"]["Metric"] for metric in metrics]
        self.assertEqual(
            {(item["MetricName"], item["Dimensions"][0]["Name"], item["Dimensions"][0]["Value"]) for item in watched},
            {
                ("ExecutionsFailed", "StateMachineArn", "Restart"),
                ("ExecutionsTimedOut", "StateMachineArn", "Restart"),
                ("FailedInvocations", "RuleName", self.resources["RestartRule"]["Properties"]["Name"]),
            },
        )


class Camel:
    """An AWS client that takes its parameters as Step Functions writes them. moto passes them on unchanged."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, action):
        call = getattr(self.client, action)
        return lambda **given: call(**{name[0].lower() + name[1:]: value for name, value in given.items()})


@mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
class Execution(unittest.TestCase):
    def setUp(self):
        self.ecs = self.aws("ecs")
        self.ecs.create_cluster(clusterName="shop")
        container = {"name": "any", "image": "any", "memory": 128}
        self.ecs.register_task_definition(family="any", containerDefinitions=[container])
        for name in ["orders", "stock"]:
            self.ecs.create_service(cluster="shop", serviceName=name, taskDefinition="any", desiredCount=1)

    @staticmethod
    def aws(service):
        return boto3.client(
            service, region_name=template.REGION, aws_access_key_id="any", aws_secret_access_key="any"
        )

    def run_it(self, services, retry=True):
        """How an execution ends, with which error, and what it called."""
        machine = render(RestartEcsServices=services)["Restart"]["Properties"]
        definition = json.loads(machine["DefinitionString"])
        update = definition["States"]["EachService"]["ItemProcessor"]["States"]["UpdateService"]
        if not retry:  # so that the test does not wait
            del update["Retry"]
        role = self.aws("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        states = self.aws("stepfunctions")
        client = tasks.boto_client_for
        with mock.patch.object(tasks, "boto_client_for", lambda **given: Camel(client(**given))):
            arn = states.create_state_machine(name="any", definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
            execution = states.start_execution(stateMachineArn=arn, input='{"detail": {}}')["executionArn"]
            while (ended := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
                pass
        events = states.get_execution_history(executionArn=execution)["events"]
        scheduled = [event["taskScheduledEventDetails"] for event in events if event["type"] == "TaskScheduled"]
        return ended["status"], ended.get("error"), [json.loads(task["parameters"]) for task in scheduled]

    def deployments(self):
        services = self.ecs.describe_services(cluster="shop", services=["orders", "stock"])["services"]
        return {service["serviceName"]: service["deployments"][0]["id"] for service in services}

    def test_each_service_has_a_new_deployment_and_nothing_else_of_it_changes(self):
        before = self.deployments()
        status, error, calls = self.run_it(SERVICES)
        self.assertEqual((status, error), ("SUCCEEDED", None))
        self.assertEqual(
            sorted(calls, key=lambda call: call["Service"]),
            [{"Cluster": "shop", "Service": name, "ForceNewDeployment": True} for name in ["orders", "stock"]],
        )
        after = self.deployments()
        for name in before:
            self.assertNotEqual(after[name], before[name])

    def test_a_service_that_cannot_be_restarted_fails_the_execution_and_stops_no_other(self):
        before = self.deployments()
        gone = SERVICES[0].replace("orders", "gone")
        status, error, _ = self.run_it([gone, SERVICES[1]], retry=False)
        self.assertEqual((status, error), ("FAILED", "NotRestarted"))
        self.assertNotEqual(self.deployments()["stock"], before["stock"])

    def test_a_failure_is_retried_for_minutes_within_the_executions_time(self):
        machine = json.loads(render(RestartEcsServices=SERVICES)["Restart"]["Properties"]["DefinitionString"])
        (retry,) = machine["States"]["EachService"]["ItemProcessor"]["States"]["UpdateService"]["Retry"]
        waits = [retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt for attempt in range(retry["MaxAttempts"])]
        self.assertGreater(sum(waits), 300)
        self.assertLess(sum(waits), machine["TimeoutSeconds"] / 2)


if __name__ == "__main__":
    unittest.main()
