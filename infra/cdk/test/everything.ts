// everything.js FOLDER: writes the template of a stack with the values of infra/checks/everything.json. test_cdk.py compares it with
// what CloudFormation makes of infra/sam/template.yaml.

import { App, Duration } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { SecretRotationFunction } from 'secret-rotation-cdk';
import { EVERYTHING as given, existing, group, network, outside, PACKAGE, stackOf } from './world';

// an app each, because they rotate the same secret
const apps = [0, 1].map(() => new App({ outdir: process.argv[2], context: { 'aws:cdk:enable-path-metadata': true } }));
const stack = stackOf(apps[0], 'Everything');

// a database in a security group, and one elsewhere, with the same port
const databases = [0, 1].map((index) => new ec2.Connections({
  securityGroups: [group(stack, `Database${index}`, given.DatabaseSecurityGroupIds[index])],
  peer: ec2.Peer.ipv4(given.DatabaseCidrs[index]),
  defaultPort: ec2.Port.tcp(Number(given.DatabasePorts[index])),
}));
const rotation = new SecretRotationFunction(stack, 'Rotation', {
  package: PACKAGE,
  functionName: given.FunctionName,
  administrators: [existing(stack, given.AdministratorSecretArns[0], 'Administrator')],
  encryptionKeys: [kms.Key.fromKeyArn(stack, 'Key', given.KmsKeyArns[0])],
  scheduleExpression: given.ScheduleExpression,
  scheduleWindow: given.ScheduleWindow,
  reservedConcurrency: given.ReservedConcurrency,
  tlsCaFile: given.TlsCaFile,
  layers: [lambda.LayerVersion.fromLayerVersionArn(stack, 'Layer', given.LayerArns[0])],
  vpc: network(stack),
  endpoint: group(stack, 'Endpoint', given.EndpointSecurityGroupIds[0]),
  apiCidr: given.ApiCidr,
  dnsCidr: given.DnsCidr,
  alarmEmail: given.AlarmEmail,
  maximumAge: Duration.days(given.MaximumAgeDays),
  trailLogGroup: logs.LogGroup.fromLogGroupName(stack, 'Trail', given.TrailLogGroup),
  knownReaders: given.KnownReaders,
  watchedSecrets: given.WatchedSecrets,
  restartEcsServices: given.RestartEcsServices,
});
given.SecretArns.forEach((arn: string, index: number) =>
  rotation.addSecret(existing(stack, arn, ['Orders', 'Stock'][index]), { database: databases[index] }));
const boundary = iam.ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', given.PermissionsBoundaryArn);
iam.PermissionsBoundary.of(stack).apply(boundary);

outside(stackOf(apps[1], 'Least'));
apps.forEach((app) => app.synth());
