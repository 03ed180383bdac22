import { Validations } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

const ALL_SECRETS = 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:*]';
const REPLICAS = 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:*:<AWS::AccountId>:secret:*]';
const STAR = 'AwsSolutions-IAM5[Resource::*]';

// why a finding of cdk-nag stays, by the template's name of the resource
const REASONS: Record<string, Record<string, string>> = {
  FunctionRole: {
    [ALL_SECRETS]: 'A condition limits it to the secrets that rotate with this function. A list of ARNs would soon be too long.',
    [STAR]: 'ListSecrets has no resource; Lambda refuses a narrower right to join a VPC, and the last statement denies it to the code.',
  },
  OperatorPolicy: {
    [ALL_SECRETS]: 'A condition limits what changes or reads values to the secrets that rotate with this function. audit examines all.',
    [REPLICAS]: 'A replica is in another region. Two conditions limit it to replicas of the watched secrets of this region.',
    [STAR]: 'ListSecrets, BatchGetSecretValue and LookupEvents have no resource. Each value also needs GetSecretValue.',
  },
  Topic: {
    'AwsSolutions-SNS3': 'CloudWatch and EventBridge of this account publish, both with TLS. Alarms hold no secret.',
  },
  Restart: {
    'AwsSolutions-SF1': 'Step Functions keeps the events of each execution, and an alarm reports a failed one. A log needs more rights.',
    'AwsSolutions-SF2': 'An execution calls one service. The role has no right to send traces.',
  },
};

/** Says on the resource why its findings stay. */
export function explain(name: string, resource: IConstruct): void {
  for (const [id, reason] of Object.entries(REASONS[name] ?? {})) Validations.of(resource).acknowledge({ id, reason });
}
