import { CfnResource } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as stepfunctions from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';

// The kinds of resources that come from the template unchanged.
const KINDS: Record<string, new (scope: Construct, id: string, props: any) => CfnResource> = {
  'AWS::CloudWatch::Alarm': cloudwatch.CfnAlarm,
  'AWS::CloudWatch::Dashboard': cloudwatch.CfnDashboard,
  'AWS::Events::Rule': events.CfnRule,
  'AWS::IAM::Role': iam.CfnRole,
  'AWS::Logs::MetricFilter': logs.CfnMetricFilter,
  'AWS::StepFunctions::StateMachine': stepfunctions.CfnStateMachine,
};

// JSON with keys that must not change
const JSON_OF_ITS_OWN = ['AssumeRolePolicyDocument', 'EventPattern', 'InputPathsMap', 'PolicyDocument'];

/** Makes a resource of the template, as an object of its own class: aspects look for the class. */
export function make(scope: Construct, name: string, type: string, properties: object): CfnResource {
  const Kind = KINDS[type];
  if (!Kind) {
    throw new Error(`infra/sam/template.yaml has ${name}, an ${type}: src/rotation.ts or src/made.ts has to make it.`);
  }
  return new Kind(scope, name, camel(properties));
}

/** CloudFormation's `AlarmName` and `OKActions` are the CDK's `alarmName` and `okActions`. */
export function camel(value: any): any {
  if (Array.isArray(value)) return value.map(camel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]/, (start) => start.toLowerCase()),
      JSON_OF_ITS_OWN.includes(key) ? item : camel(item),
    ]),
  );
}
