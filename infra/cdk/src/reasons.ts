import { CfnResource, Validations } from 'aws-cdk-lib';

const ALL_SECRETS = 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:*]';
const REPLICAS = 'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:secretsmanager:*:<AWS::AccountId>:secret:*]';
const STAR = 'AwsSolutions-IAM5[Resource::*]';

// the reasons why findings of cdk-nag and checkov stay, by the resource's name in the template
const REASONS: Record<string, Record<string, string>> = {
  FunctionRole: {
    [ALL_SECRETS]: 'A condition limits it to the secrets that rotate with this function. A list of ARNs would soon be too long.',
    [STAR]: 'ListSecrets has no resource; Lambda refuses a narrower right to join a VPC, and the last statement denies it to the code.',
    CKV_AWS_111: 'Lambda checks the role before a network interface exists, and refuses a narrower right to join a VPC.',
  },
  Function: {
    CKV_AWS_115: 'Executions that are reserved for one function are missing for all others of the account: `reservedConcurrency` does it.',
    CKV_AWS_117: 'A database on the internet needs no VPC: `vpc` puts the function into one.',
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

/** Writes on the resource why its findings stay, in the form of each tool. */
export function explain(name: string, resource: CfnResource): void {
  const reasons = Object.entries(REASONS[name] ?? {});
  const skip = reasons.filter(([id]) => id.startsWith('CKV')).map(([id, comment]) => ({ id, comment }));
  if (skip.length > 0) resource.addMetadata('checkov', { skip });
  for (const [id, reason] of reasons.filter(([id]) => !id.startsWith('CKV'))) Validations.of(resource).acknowledge({ id, reason });
}
