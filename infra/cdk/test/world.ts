// Shared by the tests: a stack with a VPC, a package, and the values of infra/checks.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SecretRotationFunction, SecretRotationFunctionProps } from 'secret-rotation-cdk';

const CHECKS = join(__dirname, '../../../checks');
export const [ACCEPTED, EVERYTHING, REFUSED] = ['accepted', 'everything', 'refused'].map((name) =>
  JSON.parse(readFileSync(join(CHECKS, `${name}.json`), 'utf8')));
export const ENV = { account: '123456789012', region: 'us-east-1' };

const folder = mkdtempSync(join(tmpdir(), 'secret-rotation-'));
process.env.TMPDIR = folder; // the CDK leaves its output there
process.env.CDK_VALIDATION = 'false'; // it takes seconds, and repeats cfn-lint; example.ts turns it on
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
export const PACKAGE = join(folder, 'secret-rotation-arm64.zip');
writeFileSync(PACKAGE, 'nothing runs it');

export const stackOf = (app = new App(), id = 'Stack') => new Stack(app, id, { env: ENV });

/** An existing secret. */
export const existing = (stack: Stack, arn: string = EVERYTHING.SecretArns[0], id = 'Secret') =>
  secretsmanager.Secret.fromSecretCompleteArn(stack, id, arn);

export const group = (stack: Stack, id: string, name: string) => ec2.SecurityGroup.fromSecurityGroupId(stack, id, name);

/** An existing VPC. */
export const network = (stack: Stack) =>
  ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: EVERYTHING.VpcId,
    availabilityZones: ['us-east-1a', 'us-east-1b'],
    privateSubnetIds: EVERYTHING.SubnetIds,
  });

/** A database that the stack makes, with a secret that is not attached yet. */
export function database(stack: Stack, vpc: ec2.IVpc): [rds.DatabaseInstance, secretsmanager.Secret] {
  const secret = new secretsmanager.Secret(stack, 'Orders', {
    generateSecretString: { secretStringTemplate: '{"username": "orders"}', generateStringKey: 'password' },
  });
  const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 });
  return [new rds.DatabaseInstance(stack, 'Database', { vpc, engine, storageEncrypted: true }), secret];
}

/** The construct outside any VPC, with one existing secret. */
export const outside = (stack: Stack, more: Partial<SecretRotationFunctionProps> = {}) =>
  new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, secrets: [existing(stack)], ...more });
