"""The alarms, who gets them, and the dashboard."""

import json
import re
import unittest

import template
from template import EVERYTHING, of_type


class Watch(template.Rendered):
    def test_every_alarm_notifies_the_topic_and_has_its_section_in_the_runbook(self):
        runbook = (template.INFRA.parent / "docs/operations.md").read_text()
        alarms = of_type(self.full, "AWS::CloudWatch::Alarm")
        self.assertEqual(len(alarms), 9)
        for alarm in alarms.values():
            self.assertEqual(alarm["AlarmActions"], ["Topic"])
            # an alarm on events sends no OK: people would read it as a success
            of_a_state = alarm.get("MetricName") in ["Overdue"] or "oldest-age" in alarm["AlarmName"]
            self.assertEqual("OKActions" in alarm, of_a_state, alarm["AlarmName"])
            # no alarm rings before there is data
            self.assertNotEqual(alarm["TreatMissingData"], "breaching")
            section = alarm["AlarmName"].removeprefix("rotation-test-")
            self.assertTrue(alarm["AlarmDescription"].endswith(f". docs/operations.md, {section}"))
            self.assertRegex(runbook, rf"(?m)^### {section}$")

    def test_an_age_check_that_stops_raises_an_alarm(self):
        alarm = self.full["AgeCheckAlarm"]["Properties"]
        self.assertEqual((alarm["TreatMissingData"], alarm["InsufficientDataActions"]), ("missing", ["Topic"]))

    def test_two_deployments_in_an_account_do_not_trigger_each_others_alarms(self):
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

    def test_the_function_knows_its_environment_and_the_metrics(self):
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


if __name__ == "__main__":
    unittest.main()
