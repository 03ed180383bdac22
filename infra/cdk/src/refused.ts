import { CfnResource, Stack, Stage, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

// What the template's bounds cannot see: constructs of the CDK that the function cannot use. Each would fail only at AWS.

/** A key's ARN, for the policies. */
export function keyArn(key: kms.IKey): string {
  if ('aliasName' in key) {
    throw new Error(`${key.node.path} is an alias, and IAM does not know the key behind it. Give the key itself: kms.Key.fromKeyArn.`);
  }
  return key.keyArn;
}

/** Refuses a secret that Secrets Manager cannot rotate with a function in this stack. */
export function checkSecret(secret: secretsmanager.ISecret, { account, region }: Stack): void {
  const differ = (there: string, here: string) => !Token.isUnresolved(there) && !Token.isUnresolved(here) && there !== here;
  if (differ(secret.env.region, region) || differ(secret.env.account, account)) {
    throw new Error(`${secret.node.path}: the secret is in ${secret.env.region} of ${secret.env.account}, and the function in ${region} of `
      + `${account}. Secrets Manager invokes functions of its own region and account. Make a function there.`);
  }
  const { secret: ofDatabase, manageMasterUserPassword } = secret.node.scope as { secret?: unknown; manageMasterUserPassword?: boolean };
  if (/:secret:[^:]*!/.test(secret.secretFullArn!) || (ofDatabase === secret && manageMasterUserPassword)) {
    throw new Error(`${secret.node.path}: a service of AWS manages this secret, and rotates it. Give it in \`administrators\`, or rotate `
      + 'another one.');
  }
}

/** Refuses a database that the function cannot reach, or in which it cannot change a password. */
export function checkDatabase(database: ec2.IConnectable): void {
  checkGroups(database);
  if (!Construct.isConstruct(database)) return;
  const { engine } = database as Partial<rds.IDatabaseCluster>;
  if (engine?.engineFamily && engine.engineFamily !== 'POSTGRESQL') {
    throw new Error(`${database.node.path}: a database of ${engine.engineFamily}, and the function rotates PostgreSQL. Use the CDK's own `
      + 'rotation for this secret.');
  }
  if ('dbProxyArn' in database) {
    throw new Error(`${database.node.path}: an AWS::RDS::DBProxy knows only current passwords. Give the database behind a proxy, and `
      + '`rotationhost` in the secret.');
  }
}

/** Refuses what has no security group to open. */
export function checkGroups(connectable: ec2.IConnectable): void {
  if (Construct.isConstruct(connectable) && connectable.connections.securityGroups.length === 0) {
    throw new Error(`${connectable.node.path}: its security group is not known, so no rule would let the function in. Import it with `
      + '`securityGroups`, or give the security group in its place.');
  }
}

/** What the app has twice, and an account can have once: a schedule of a secret, and a function of a name. */
export function twice(scope: Construct, functionName: string, own: secretsmanager.CfnRotationSchedule[]): string[] {
  const all = Stage.of(scope)!.node.findAll();
  const { environment } = Stack.of(scope);
  const paths = (resources: CfnResource[]) => resources.map(({ node }) => node.path).join(' and ');
  const attachments = all.filter((one) => one instanceof secretsmanager.CfnSecretTargetAttachment);
  const attached = new Map(attachments.map(({ ref, secretId }) => [ref, secretId]));
  const secret = ({ secretId }: secretsmanager.CfnRotationSchedule) => attached.get(secretId) ?? secretId;
  const schedules = all.filter((one) => one instanceof secretsmanager.CfnRotationSchedule);
  const functions = all.filter((one) => one instanceof lambda.CfnFunction)
    .filter((one) => one.functionName === functionName && one.stack.environment === environment);
  return [
    ...own.map((mine) => schedules.filter((one) => secret(one) === secret(mine))).filter(({ length }) => length > 1).map((same) =>
      `A secret has two schedules: ${paths(same)}. It rotates with one function, and a schedule that goes turns rotation off. Keep one.`),
    ...(functions.length > 1
      ? [`In one region, two functions are named ${functionName}: ${paths(functions)}. Give one another \`functionName\`.`]
      : []),
  ];
}
