// For an existing secret and database: it rotates every thirty days, from within the database's VPC. Put your values here, and
// secret-rotation-arm64.zip beside this file. Then:
//
//   npm ci --prefix .. && cdk deploy

import { App, Stack, aws_ec2 as ec2, aws_secretsmanager as secretsmanager } from 'aws-cdk-lib';
import { SecretRotationFunction } from 'secret-rotation-cdk';

const stack = new Stack(new App(), 'SecretRotation', { env: { account: '123456789012', region: 'eu-central-1' } });
const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf';
new SecretRotationFunction(stack, 'Rotation', {
  package: 'secret-rotation-arm64.zip', secrets: [secretsmanager.Secret.fromSecretCompleteArn(stack, 'Secret', arn)],
  vpc: ec2.Vpc.fromLookup(stack, 'Vpc', { vpcId: 'vpc-0123456789abcdef0' }),
  database: ec2.SecurityGroup.fromSecurityGroupId(stack, 'Database', 'sg-0123456789abcdef0'),
  endpoint: ec2.SecurityGroup.fromSecurityGroupId(stack, 'Endpoint', 'sg-0123456789abcdef1'),
});
