// What a user of the CDK gets wrong, and reads at synthesis instead of finding it at AWS.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SecretRotationFunction } from 'secret-rotation-cdk';
import { database, EVERYTHING, existing, group, network, outside, PACKAGE, stackOf } from './world';

const inVpc = (stack: Stack, vpc: ec2.IVpc = network(stack)) =>
  new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, vpc, endpoint: group(stack, 'Endpoint', 'sg-0123456789abcdef0') });

test('a database or an endpoint without a known security group is refused, because no rule would let the function in', () => {
  const stack = stackOf();
  const rotation = inVpc(stack);
  const cluster = rds.DatabaseCluster.fromDatabaseClusterAttributes(stack, 'Cluster', { clusterIdentifier: 'orders' });
  const instance = rds.DatabaseInstance.fromDatabaseInstanceAttributes(stack, 'Instance', {
    instanceIdentifier: 'orders', instanceEndpointAddress: 'orders.example.com', port: 5432, securityGroups: [],
  });
  for (const unknown of [cluster, instance]) {
    assert.throws(() => rotation.addSecret(existing(stack, undefined, `For${unknown.node.id}`), { database: unknown }),
      /Stack\/(Cluster|Instance): its security group is not known.*Import it with `securityGroups`/);
  }
  const endpoint = ec2.InterfaceVpcEndpoint.fromInterfaceVpcEndpointAttributes(stack, 'Imported', { port: 443, vpcEndpointId: 'vpce-0' });
  const other = stackOf();
  assert.throws(() => outside(other, { vpc: network(other), endpoint }), /Stack\/Imported: its security group is not known/);
});

test('a proxy and a database that is not PostgreSQL are refused', () => {
  const stack = stackOf();
  const vpc = new ec2.Vpc(stack, 'Vpc');
  const rotation = inVpc(stack, vpc);
  const [instance, secret] = database(stack, vpc);
  const proxy = instance.addProxy('Proxy', { secrets: [secret], vpc });
  assert.throws(() => rotation.addSecret(secret, { database: proxy }),
    /Stack\/Database\/Proxy: .*AWS::RDS::DBProxy.*Give the database behind a proxy, and `rotationhost` in the secret/);
  const engine = rds.DatabaseInstanceEngine.mysql({ version: rds.MysqlEngineVersion.VER_8_0 });
  const mysql = new rds.DatabaseInstance(stack, 'Mysql', { vpc, engine });
  assert.throws(() => rotation.addSecret(secret, { database: mysql }),
    /Stack\/Mysql: a database of MYSQL.*rotates PostgreSQL\. Use the CDK's own rotation/);
});

test('the alias of a key is refused, because IAM does not know the key behind it', () => {
  const stack = stackOf();
  const alias = kms.Alias.fromAliasName(stack, 'Alias', 'alias/orders');
  assert.throws(() => outside(stack, { encryptionKeys: [alias] }), /Stack\/Alias is an alias.*Give the key itself/);
  const other = stackOf();
  const encryptionKey = new kms.Key(other, 'Key').addAlias('orders');
  const rotation = outside(other);
  assert.throws(() => rotation.addSecret(new secretsmanager.Secret(other, 'Own', { encryptionKey })), /is an alias/);
});

test('a secret of another region or account is refused, because Secrets Manager invokes functions of its own', () => {
  for (const place of ['eu-west-1:123456789012', 'us-east-1:210987654321']) {
    const arn = `arn:aws:secretsmanager:${place}:secret:orders/db-AbCdEf`;
    const stack = stackOf();
    assert.throws(() => outside(stack, { secrets: [existing(stack, arn, 'Elsewhere')] }),
      /Stack\/Elsewhere: the secret is in \S+ of \d+, and the function in us-east-1 of 123456789012\. .*Make a function there/);
  }
  const app = new App();
  const other = new Stack(app, 'Other', { env: { account: '123456789012', region: 'eu-west-1' } });
  assert.throws(() => outside(stackOf(app), { secrets: [new secretsmanager.Secret(other, 'Secret')] }), /the secret is in eu-west-1/);
});

test('a secret that RDS manages is refused, and may be the administrator', () => {
  const message = /a service of AWS manages this secret, and rotates it\. Give it in `administrators`/;
  const stack = stackOf();
  const vpc = new ec2.Vpc(stack, 'Vpc');
  const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 });
  const instance = new rds.DatabaseInstance(stack, 'Database', { vpc, engine, manageMasterUserPassword: true });
  assert.throws(() => inVpc(stack, vpc).addSecret(instance.secret!, { database: instance }), message);
  const other = stackOf();
  const managed = existing(other, EVERYTHING.AdministratorSecretArns[0], 'Managed');
  assert.throws(() => outside(other, { administrators: [managed] }).addSecret(managed), message);
});

test('a secret that is added twice is refused, also as the attachment of the secret and by a second import', () => {
  const stack = stackOf();
  const vpc = new ec2.Vpc(stack, 'Vpc');
  const [instance, secret] = database(stack, vpc);
  const rotation = inVpc(stack, vpc);
  rotation.addSecret(secret, { database: instance });
  rotation.addSecret(existing(stack));
  const attachment = secret.node.findChild('Attachment') as secretsmanager.SecretTargetAttachment;
  const again = [secret, attachment, existing(stack, undefined, 'Import')];
  for (const one of again) assert.throws(() => rotation.addSecret(one), /rotates already with Stack\/Rotation\. Add it once/);
});

/** Synthesizes a stack with what is made in it. */
function refused(make: (stack: Stack) => unknown, message: RegExp): void {
  const app = new App();
  make(stackOf(app));
  assert.throws(() => app.synth(), message);
}

test('synthesis refuses two schedules of one secret: two functions, or the rotation of the CDK and this one', () => {
  const message = /secret has two schedules: Stack\/\S+ and Stack\/\S+\. .*Keep one/;
  refused((stack) => {
    outside(stack);
    const secrets = [existing(stack, undefined, 'Import')];
    new SecretRotationFunction(stack, 'Other', { package: PACKAGE, functionName: 'other', secrets });
  }, message);
  refused((stack) => {
    const vpc = new ec2.Vpc(stack, 'Vpc');
    const [instance] = database(stack, vpc);
    instance.addRotationSingleUser();
    inVpc(stack, vpc).addSecret(instance.secret!, { database: instance });
  }, message);
});

test('synthesis refuses two functions of one name, and accepts them in two regions', () => {
  const two = (app: App, region: string) => {
    outside(stackOf(app));
    const stack = new Stack(app, 'Other', { env: { account: '123456789012', region } });
    const arn = `arn:aws:secretsmanager:${region}:123456789012:secret:stock/db-AbCdEf`;
    new SecretRotationFunction(stack, 'Second', { package: PACKAGE, secrets: [existing(stack, arn)] });
    app.synth();
  };
  const message = /two functions are named secret-rotation: Stack\/\S+ and Other\/\S+\. Give one another `functionName`/;
  assert.throws(() => two(new App(), 'us-east-1'), message);
  assert.doesNotThrow(() => two(new App(), 'eu-west-1'));
});

test('synthesis refuses isolated subnets of a new VPC without an endpoint of Secrets Manager, and not those of an imported one', () => {
  refused((stack) => {
    const vpc = new ec2.Vpc(stack, 'Vpc', { natGateways: 0 });
    const rotation = new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, vpc, apiCidr: '0.0.0.0/0' });
    rotation.addSecret(existing(stack), { database: group(stack, 'Database', EVERYTHING.DatabaseSecurityGroupIds[0]) });
  }, /cannot reach Secrets Manager: its subnets have no NAT gateway. `vpc` needs `endpoint`/);
  const app = new App();
  const stack = stackOf(app);
  const { VpcId: vpcId, SubnetIds: isolatedSubnetIds } = EVERYTHING;
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId, isolatedSubnetIds, availabilityZones: ['us-east-1a', 'us-east-1b'] });
  outside(stack, { vpc, database: group(stack, 'Database', EVERYTHING.DatabaseSecurityGroupIds[0]), apiCidr: '0.0.0.0/0' });
  assert.doesNotThrow(() => app.synth());
});
