import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SecretRotationFunction, SecretRotationFunctionProps } from 'secret-rotation-cdk';
import { property } from '../src/parameters';
import { Template as Sam } from '../src/template';
import { ACCEPTED, database, EVERYTHING, existing, group, network, outside, PACKAGE, REFUSED, stackOf } from './world';

/** The resources of a type, by logical name. */
const found = (stack: Stack, type: string) => Template.fromStack(stack).findResources(type);
const only = (stack: Stack, type: string): any => {
  const all = Object.values(found(stack, type));
  assert.equal(all.length, 1, `${all.length} of ${type}`);
  return all[0];
};
const names = (stack: Stack, type: string) => Object.keys(found(stack, type));

/** A stack that makes a database, and calls `addSecret` with it. */
function besideDatabase() {
  const stack = stackOf();
  const vpc = new ec2.Vpc(stack, 'Vpc');
  const endpoint = vpc.addInterfaceEndpoint('Endpoint', { service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER });
  const [instance, secret] = database(stack, vpc);
  const rotation = new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, vpc, endpoint });
  return { stack, vpc, instance, secret, rotation };
}

test('the database admits the function on its own port, and the function reaches the database and the endpoint alone', () => {
  const { stack, instance, secret, rotation } = besideDatabase();
  rotation.addSecret(secret, { database: instance });
  const own = stack.resolve(rotation.connections.securityGroups[0].securityGroupId);
  const port = stack.resolve(instance.dbInstanceEndpointPort);
  const template = Template.fromStack(stack);
  template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
    GroupId: stack.resolve(instance.connections.securityGroups[0].securityGroupId),
    FromPort: port,
    ToPort: port,
    SourceSecurityGroupId: own,
  });
  const egress = Object.values(found(stack, 'AWS::EC2::SecurityGroupEgress')).map(({ Properties }) => Properties);
  assert.deepEqual(egress.map(({ GroupId }) => GroupId), [own, own]);
  assert.deepEqual(new Set(egress.map(({ ToPort }) => JSON.stringify(ToPort))), new Set([JSON.stringify(port), '443']));
});

test('the first test of a secret waits for every rule, the endpoint, the database, its host in the secret and the permission', () => {
  const { stack, instance, secret, rotation } = besideDatabase();
  rotation.addSecret(secret, { database: instance });
  const schedule = only(stack, 'AWS::SecretsManager::RotationSchedule');
  for (const type of [
    'AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress', 'AWS::EC2::VPCEndpoint', 'AWS::RDS::DBInstance',
    'AWS::Lambda::Function',
  ]) {
    for (const name of names(stack, type)) assert.ok(schedule.DependsOn.includes(name), name);
  }
  const attachments = names(stack, 'AWS::SecretsManager::SecretTargetAttachment').filter((name) => name.startsWith('Orders'));
  const permissions = Object.entries(found(stack, 'AWS::Lambda::Permission'));
  const [[permission]] = permissions.filter(([, { Properties }]) => Properties.Principal === 'secretsmanager.amazonaws.com');
  for (const name of [...attachments, permission]) assert.ok(schedule.DependsOn.includes(name), name);
  assert.equal(attachments.length, 1);
});

test('rules for imported security groups are made, and the schedule waits for them', () => {
  const stack = stackOf();
  outside(stack, {
    vpc: network(stack),
    database: group(stack, 'Database', 'sg-0123456789abcdef0'),
    endpoint: group(stack, 'Endpoint', 'sg-0123456789abcdef1'),
  });
  const made = Object.values(found(stack, 'AWS::EC2::SecurityGroupIngress'));
  const rules = made.map(({ Properties }) => [Properties.GroupId, Properties.FromPort]);
  assert.deepEqual(rules.sort(), [['sg-0123456789abcdef0', 5432], ['sg-0123456789abcdef1', 443]]);
  const schedule = only(stack, 'AWS::SecretsManager::RotationSchedule');
  for (const name of names(stack, 'AWS::EC2::SecurityGroupIngress')) assert.ok(schedule.DependsOn.includes(name), name);
});

test('two secrets of one database share its rule, and a port of the app goes before the default one', () => {
  const stack = stackOf();
  const rotation = new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, vpc: network(stack), apiCidr: '0.0.0.0/0' });
  const imported = group(stack, 'Database', 'sg-0123456789abcdef0');
  rotation.addSecret(existing(stack), { database: imported, port: 6432 });
  rotation.addSecret(existing(stack, EVERYTHING.SecretArns[1], 'Other'), { database: imported, port: 6432 });
  assert.equal(only(stack, 'AWS::EC2::SecurityGroupIngress').Properties.FromPort, 6432);
  assert.equal(names(stack, 'AWS::SecretsManager::RotationSchedule').length, 2);
});

test('a database in another stack is opened without a cycle between the stacks', () => {
  const app = new App();
  const data = stackOf(app, 'Data');
  const vpc = new ec2.Vpc(data, 'Vpc');
  const [instance, secret] = database(data, vpc);
  secret.attach(instance);
  const stack = stackOf(app, 'Stack');
  const rotation = new SecretRotationFunction(stack, 'Rotation', { package: PACKAGE, vpc, apiCidr: '0.0.0.0/0' });
  rotation.addSecret(secret, { database: instance });
  app.synth();
  Template.fromStack(stack).resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
});

test('a new secret gets host and port of its database, and keeps them when the stack is deleted', () => {
  const { stack, instance, secret, rotation } = besideDatabase();
  rotation.addSecret(secret, { database: instance });
  const attachments = Object.values(found(stack, 'AWS::SecretsManager::SecretTargetAttachment'));
  const made = attachments.find(({ Properties }) => JSON.stringify(Properties.SecretId).includes('Orders'))!;
  assert.deepEqual(made.Properties.TargetId, stack.resolve(instance.instanceIdentifier));
  assert.equal(made.DeletionPolicy, 'Retain');
});

test('a secret that is attached is not attached twice', () => {
  const { stack, instance, secret, rotation } = besideDatabase();
  secret.attach(instance);
  rotation.addSecret(secret, { database: instance });
  const attachments = names(stack, 'AWS::SecretsManager::SecretTargetAttachment').filter((name) => name.startsWith('Orders'));
  assert.equal(attachments.length, 1);
  const schedule = only(stack, 'AWS::SecretsManager::RotationSchedule');
  assert.ok(schedule.DependsOn.includes(attachments[0]));
});

test('an existing secret keeps its JSON unless the app asks for host and port', () => {
  for (const [attach, count] of [[undefined, 0], [false, 0], [true, 1]] as const) {
    const { stack, instance, rotation } = besideDatabase();
    rotation.addSecret(existing(stack), { database: instance, attach });
    const attachments = Object.values(found(stack, 'AWS::SecretsManager::SecretTargetAttachment'));
    assert.equal(attachments.filter(({ Properties }) => Properties.SecretId === EVERYTHING.SecretArns[0]).length, count);
  }
});

test('host and port of a security group cannot be attached', () => {
  const { stack, rotation } = besideDatabase();
  const options = { database: group(stack, 'Imported', 'sg-0123456789abcdef0'), attach: true };
  assert.throws(() => rotation.addSecret(existing(stack), options), /`attach` needs a `database` of aws-rds/);
});

test('the keys of all secrets are in the policies, also of a secret that is added later', () => {
  const stack = stackOf();
  const rotation = outside(stack, { encryptionKeys: [kms.Key.fromKeyArn(stack, 'Key', EVERYTHING.KmsKeyArns[0])] });
  const encryptionKey = new kms.Key(stack, 'Own');
  rotation.addSecret(new secretsmanager.Secret(stack, 'Own secret', { encryptionKey }));
  const keys = [EVERYTHING.KmsKeyArns[0], stack.resolve(encryptionKey.keyArn)];
  const function_ = only(stack, 'AWS::IAM::Role').Properties.Policies[0].PolicyDocument;
  const others = Object.values(found(stack, 'AWS::IAM::ManagedPolicy')).map(({ Properties }) => Properties.PolicyDocument);
  const statements = [function_, ...others].flatMap(({ Statement }) => Statement);
  const decrypt = statements.filter(({ Action }) => [Action].flat().includes('kms:Decrypt'));
  assert.equal(decrypt.length, 4, 'the function, the operator, two applications');
  for (const { Resource } of decrypt) assert.deepEqual(Resource, keys);
});

test('the name of an import and an attachment do not change the schedule, because CloudFormation would turn rotation off', () => {
  const schedules = (made: (stack: Stack) => secretsmanager.ISecret) => {
    const stack = stackOf();
    const rotation = outside(stack, { secrets: [] });
    rotation.addSecret(made(stack));
    return names(stack, 'AWS::SecretsManager::RotationSchedule');
  };
  assert.deepEqual(schedules((stack) => existing(stack, undefined, 'One')), schedules((stack) => existing(stack, undefined, 'Two')));
  const own = (attached: boolean) => schedules((stack) => {
    const [instance, secret] = database(stack, new ec2.Vpc(stack, 'Vpc'));
    return attached ? secret.attach(instance) : secret;
  });
  assert.deepEqual(own(true), own(false));
});

test('the example of the README is an app', () => {
  const stack = stackOf();
  const vpc = new ec2.Vpc(stack, 'Vpc');
  const [instance, secret] = database(stack, vpc);
  const code = readFileSync(join(__dirname, '../../README.md'), 'utf8').match(/```ts\n([^]*?)```/)![1].replace(/^import .*$/gm, '');
  const service = new ecs.FargateService(stack, 'Service', {
    cluster: new ecs.Cluster(stack, 'Cluster', { vpc }),
    taskDefinition: new ecs.FargateTaskDefinition(stack, 'Task'),
  });
  service.taskDefinition.addContainer('Container', { image: ecs.ContainerImage.fromRegistry('orders') });
  process.chdir(dirname(PACKAGE));
  new Function('SecretRotationFunction', 'ec2', 'vpc', 'secret', 'database', 'service', code)
    .call(stack, SecretRotationFunction, ec2, vpc, secret, instance, service);
  const attached = Object.values(found(stack, 'AWS::IAM::Role')).filter(({ Properties }) => Properties.ManagedPolicyArns);
  assert.equal(attached.length, 1);
});

test('a secret by name is refused, because policies compare its full ARN', () => {
  const stack = stackOf();
  const rotation = outside(stack);
  const byName = secretsmanager.Secret.fromSecretNameV2(stack, 'By name', 'orders/db');
  assert.throws(() => rotation.addSecret(byName), /full ARN is not known. Import it with Secret.fromSecretCompleteArn/);
});

// the properties that equal a parameter's value, and whether it is a list
const PLAIN: Record<string, boolean> = {
  functionName: false, scheduleExpression: false, scheduleWindow: false, memorySize: false, reservedConcurrency: false, logLevel: false,
  passwordLength: false, passwordCharacters: false, passwordHashing: false, administratorChannelBinding: false, tlsCaFile: false,
  awsCaBundle: false, secretsManagerUrl: false, alarmEmail: false, watchedSecrets: false, excludeCharacters: false,
  restartEcsServices: true,
};

test('a value out of the bounds of the template is refused by the name of its property', () => {
  const plain = Object.keys(REFUSED.alone).filter((name) => property(name) in PLAIN);
  assert.ok(plain.length > 15, `${plain.length}`);
  for (const name of plain) {
    for (const value of REFUSED.alone[name]) {
      const given = { [property(name)]: PLAIN[property(name)] ? [value] : value };
      assert.throws(() => outside(stackOf(), given), new RegExp(`Stack/Rotation: .*${property(name)} is `), `${name}: ${value}`);
    }
    for (const value of ACCEPTED.alone[name] ?? []) {
      const given = { [property(name)]: PLAIN[property(name)] ? [value] : value };
      assert.doesNotThrow(() => outside(stackOf(), given), `${name}: ${value}`);
    }
  }
});

test('the bounds of a list, of a time and of days are those of the template', () => {
  const stack = stackOf();
  const cases: [Partial<SecretRotationFunctionProps>, string][] = [
    [{ timeout: Duration.minutes(20) }, 'timeout'],
    [{ logRetention: logs.RetentionDays.INFINITE }, 'logRetention'],
    [{ knownReaders: ['a"b'], trailLogGroup: logs.LogGroup.fromLogGroupName(stack, 'Trail', 'trail') }, 'knownReaders'],
  ];
  for (const [given, name] of cases) {
    assert.throws(() => outside(stackOf(), given), new RegExp(`${name} is `));
  }
});

test('a property without effect is refused, and a package that is not there', () => {
  const stack = stackOf();
  const cases: [Partial<SecretRotationFunctionProps>, RegExp][] = [
    [{ apiCidr: '0.0.0.0/0' }, /need `vpc`/],
    [{ dnsCidr: '10.0.0.0/24' }, /need `vpc`/],
    [{ endpoint: group(stack, 'Endpoint', 'sg-0123456789abcdef0') }, /need `vpc`/],
    [{ database: group(stack, 'Database', 'sg-0123456789abcdef0') }, /`database` needs `vpc`/],
    [{ knownReaders: ['a'] }, /`knownReaders` needs `trailLogGroup`/],
    [{ restartSecrets: [existing(stack)] }, /`restartSecrets` needs `restartEcsServices`/],
    [{ package: 'gone.zip' }, /`package` is gone.zip, and there is no such .zip file/],
    [{ package: __filename }, /there is no such .zip file/],
  ];
  for (const [given, message] of cases) {
    assert.throws(() => outside(stackOf(), given), message);
  }
});

test('synthesis refuses a function without a way to the database or to Secrets Manager, and one without a secret', () => {
  const refused = (given: (stack: Stack) => Partial<SecretRotationFunctionProps>, message: RegExp) => {
    const app = new App();
    const stack = stackOf(app);
    outside(stack, given(stack));
    assert.throws(() => app.synth(), message);
  };
  refused((stack) => ({ vpc: network(stack), apiCidr: '0.0.0.0/0' }), /cannot reach the database: `vpc` needs `database`/);
  refused((stack) => ({ vpc: network(stack), database: group(stack, 'Database', 'sg-0123456789abcdef0') }), /cannot reach Secrets Manager/);
  refused(() => ({ secrets: [] }), /no secret to rotate/);
});

test('outside any VPC no network is made', () => {
  const stack = stackOf();
  outside(stack);
  const types = Object.values<any>(Template.fromStack(stack).toJSON().Resources).map(({ Type }) => Type);
  assert.deepEqual(types.filter((type) => type.startsWith('AWS::EC2::')), []);
  assert.equal(only(stack, 'AWS::Lambda::Function').Properties.VpcConfig, undefined);
});

test('the metrics are those of the alarms and of the dashboard', () => {
  const stack = stackOf();
  const rotation = outside(stack, { maximumAge: Duration.days(45) });
  const alarms = JSON.stringify(Object.values(found(stack, 'AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties));
  const dashboard = JSON.stringify(only(stack, 'AWS::CloudWatch::Dashboard').Properties.DashboardBody).replaceAll('\\', '');
  for (const metric of [rotation.metricOverdue(), rotation.metricFailures(), rotation.metricOldestAge(), rotation.metricRotations()]) {
    const { namespace, metricName, dimensions } = metric.toMetricConfig().metricStat!;
    assert.equal(namespace, 'SecretRotation');
    assert.deepEqual(dimensions, [{ name: 'FunctionName', value: 'secret-rotation' }]);
    const shown = new RegExp(`"SecretRotation", "${metricName}", "FunctionName", "secret-rotation"|MetricName="${metricName}"`);
    assert.match(dashboard, shown);
    if (metricName !== 'Rotations') assert.ok(alarms.includes(`"MetricName":"${metricName}"`), metricName);
  }
  assert.equal(rotation.metricOverdue({ period: Duration.minutes(5) }).period.toMinutes(), 5);
});

test('every parameter of the template is a property, or a construct of the CDK does its work', () => {
  const instead = new Map([
    ['PackageBucket', 'package'], ['PackageKey', 'package'], ['SecretArns', 'secrets'], ['KmsKeyArns', 'encryptionKeys'],
    ['VpcId', 'vpc'], ['SubnetIds', 'vpcSubnets'], ['DatabaseSecurityGroupIds', 'database'], ['DatabaseCidrs', 'database'],
    ['DatabasePorts', 'database'], ['EndpointSecurityGroupIds', 'endpoint'],
    ['VpcCidr', 'Vpc.addInterfaceEndpoint'], ['CreateSecretsManagerEndpoint', 'Vpc.addInterfaceEndpoint'],
    ['CreateKmsEndpoint', 'Vpc.addInterfaceEndpoint'], ['PermissionsBoundaryArn', 'iam.PermissionsBoundary'],
  ]);
  const source = readFileSync(join(__dirname, '../../src/props.ts'), 'utf8');
  const known = new Set([...source.matchAll(/readonly (\w+)/g)].map(([, name]) => name));
  for (const name of Sam.PARAMETERS) {
    const stands = instead.get(name) ?? property(name);
    assert.ok(known.has(stands) || /[.]/.test(stands), `${name}: ${stands} is no property`);
  }
});

test('the lock file names no registry, and pins each package by its hash', () => {
  const lock = JSON.parse(readFileSync(join(__dirname, '../../package-lock.json'), 'utf8'));
  const packages = Object.entries<any>(lock.packages).filter(([name]) => name !== '');
  assert.ok(packages.length > 5);
  for (const [name, { integrity, resolved, inBundle }] of packages) {
    assert.equal(resolved, undefined, name);
    assert.ok(inBundle || integrity?.startsWith('sha512-'), name);
  }
  for (const [name, version] of Object.entries<string>(lock.packages[''].devDependencies)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
});
