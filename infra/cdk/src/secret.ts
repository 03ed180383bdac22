import { CfnResource, Lazy, Names, RemovalPolicy, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct, IDependable } from 'constructs';
import { fullArn } from './parameters';
import { RotatedSecret, SecretOptions } from './props';
import { Template } from './template';

/** The secret of an attachment, which is a construct in the secret's scope. They have one ARN, in two tokens. */
export function owner(secret: secretsmanager.ISecret): secretsmanager.ISecret {
  const scope = secret.node.scope;
  const attached = secret instanceof secretsmanager.SecretTargetAttachment && scope && 'secretFullArn' in scope;
  return attached ? (scope as secretsmanager.ISecret) : secret;
}

/**
 * An identifier that lasts as long as the secret. CloudFormation makes a schedule that has a new logical ID before it deletes the old one,
 * and that turns rotation off: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1813.
 */
export function lasting(secret: secretsmanager.ISecret): string {
  const arn = fullArn(secret);
  return Token.isUnresolved(arn) ? Names.nodeUniqueId(secret.node) : arn.split(':').pop()!;
}

/** The resources that the template has for each secret. @internal */
export class Rotated extends Construct implements RotatedSecret {
  public readonly applicationPolicy: iam.IManagedPolicy;
  public readonly schedule: secretsmanager.CfnRotationSchedule;

  public constructor(scope: Construct, id: string, secret: secretsmanager.ISecret, template: Template) {
    super(scope, id);
    const loop = { SecretArn: fullArn(secret) };
    const policy = new iam.CfnManagedPolicy(this, 'ApplicationPolicy', {
      description: template.properties('ApplicationPolicy', loop).Description,
      // secrets that are added later may have keys
      policyDocument: Lazy.any({ produce: () => template.properties('ApplicationPolicy', loop).PolicyDocument }),
    });
    this.applicationPolicy = iam.ManagedPolicy.fromManagedPolicyArn(this, 'Application', policy.ref);
    const { SecretId, RotationLambdaARN, RotateImmediatelyOnUpdate, RotationRules } = template.properties('Schedule', loop);
    this.schedule = new secretsmanager.CfnRotationSchedule(this, 'Schedule', {
      secretId: SecretId,
      rotationLambdaArn: RotationLambdaARN,
      rotateImmediatelyOnUpdate: String(RotateImmediatelyOnUpdate) === 'true',
      rotationRules: { scheduleExpression: RotationRules.ScheduleExpression, duration: RotationRules.Duration },
    });
  }
}

/** Lets CloudFormation write host and port into the secret's JSON, if they are missing. Returns the dependencies of the schedule. */
export function attach(secret: secretsmanager.ISecret, { database, attach: wanted }: SecretOptions): IDependable[] {
  const existing = secret.node.tryFindChild('Attachment');
  const attachable = database && 'asSecretAttachmentTarget' in database;
  const target = attachable ? (database as any as secretsmanager.ISecretAttachmentTarget) : undefined;
  if (existing || !(wanted ?? (target && secretsmanager.Secret.isSecret(secret)))) return existing ? [existing] : [];
  if (!target) {
    throw new Error(`${secret.node.path}: \`attach\` needs a \`database\` of aws-rds. Otherwise write host and port into its JSON.`);
  }
  const attachment = secret.attach(target);
  // deleting the attachment would remove host and port from the value, which applications still read
  (attachment.node.defaultChild as CfnResource).applyRemovalPolicy(RemovalPolicy.RETAIN);
  return [attachment];
}
