import { existsSync } from 'node:fs';
import { Duration } from 'aws-cdk-lib';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SecretRotationFunctionProps } from './props';
import { Template, Value } from './template';

// properties whose name is not the parameter's in camel case
const RENAMED: Record<string, string> = {
  AdministratorSecretArns: 'administrators',
  LayerArns: 'layers',
  LogRetentionDays: 'logRetention',
  MaximumAgeDays: 'maximumAge',
  OverlapWindow: 'overlap',
};

/** The property for a parameter of the template. */
export function property(parameter: string): string {
  return RENAMED[parameter] ?? parameter[0].toLowerCase() + parameter.slice(1);
}

/** The template's parameters that the properties set. A property of a plain type is the parameter's value. */
export function parameters(props: SecretRotationFunctionProps): Record<string, Value | undefined> {
  const same = Template.PARAMETERS.map((name) => [name, props[property(name) as keyof SecretRotationFunctionProps]]);
  return {
    ...Object.fromEntries(same),
    AdministratorSecretArns: props.administrators?.map(fullArn),
    AllowedHosts: props.allowedHosts?.join(','),
    LayerArns: props.layers?.map((layer) => layer.layerVersionArn).join(','),
    MaximumAgeDays: props.maximumAge?.toDays(),
    OverlapWindow: props.overlap && time(props.overlap),
    RestartSecrets: props.restartSecrets?.map(fullArn),
    Timeout: props.timeout?.toSeconds(),
    TrailLogGroup: props.trailLogGroup?.logGroupName,
    VpcId: props.vpc?.vpcId,
  };
}

/** The ARN with the six characters that the service appends. Policies compare the whole ARN, and a name does not show them. */
export function fullArn(secret: secretsmanager.ISecret): string {
  if (!secret.secretFullArn) {
    throw new Error(`${secret.node.path}: the secret's full ARN is not known. Import it with Secret.fromSecretCompleteArn.`);
  }
  return secret.secretFullArn;
}

/** The time in the function's format. */
function time(overlap: Duration): string {
  const seconds = overlap.toSeconds();
  return seconds % 3600 === 0 ? `${seconds / 3600}h` : `${seconds}s`;
}

/** The errors in the properties, with the user's names. */
export function wrong(props: SecretRotationFunctionProps, template: Template): string[] {
  const needs = [
    [props.endpoint ?? props.apiCidr ?? props.dnsCidr ?? props.vpcSubnets, props.vpc,
      '`endpoint`, `apiCidr`, `dnsCidr` and `vpcSubnets` need `vpc`: without it they have no effect.'],
    [props.knownReaders, props.trailLogGroup, '`knownReaders` needs `trailLogGroup`: otherwise no alarm looks for readers.'],
    [props.restartSecrets, props.restartEcsServices, '`restartSecrets` needs `restartEcsServices`, the services to restart.'],
  ] as const;
  return [
    ...Template.PARAMETERS.filter((name) => property(name) in props).flatMap((name) => template.wrong(name, property(name))),
    ...needs.flatMap(([given, needed, message]) => (given !== undefined && needed === undefined ? [message] : [])),
    ...(/\.zip$/.test(props.package) && existsSync(props.package)
      ? []
      : [`\`package\` is ${props.package}, and there is no such .zip file. Take secret-rotation-arm64.zip from a release.`]),
  ];
}
