import { Duration } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

/** How the function makes and checks passwords. docs/operations.md explains each setting. */
export interface PasswordSettings {
  /** @default 32 */
  readonly passwordLength?: number;
  /** Characters that no password has. @default \:/@"' */
  readonly excludeCharacters?: string;
  /** Whether passwords have no digits. @default false */
  readonly excludeNumbers?: boolean;
  /** Whether passwords have no punctuation. @default false */
  readonly excludePunctuation?: boolean;
  /** Whether passwords have no capital letters. @default false */
  readonly excludeUppercase?: boolean;
  /** Whether passwords have no small letters. @default false */
  readonly excludeLowercase?: boolean;
  /** Whether each password has at least one character of every kind that is not excluded. @default true */
  readonly requireEachIncludedType?: boolean;
  /** `url-safe` for passwords that need no escaping in a URL. @default - all characters that are not excluded */
  readonly passwordCharacters?: string;
  /** `keep` sends md5 if the server stores the password as md5; `scram` always SCRAM; `server` the password itself. @default keep */
  readonly passwordHashing?: string;
  /** `prefer` if the administrator's login cannot be bound to its TLS connection. @default require */
  readonly administratorChannelBinding?: string;
  /** Whether a pooler in front of the database asks the database for passwords. @default false */
  readonly poolerAsksServer?: boolean;
  /** A statement that testSecret runs as the new credential, read only. @default - none */
  readonly verifySql?: string;
}

/** How the function reaches the database and Secrets Manager. */
export interface NetworkSettings {
  /** The database's VPC. @default - a function outside any VPC */
  readonly vpc?: ec2.IVpc;
  /** Where the function's network interfaces are: private subnets in two zones or more. @default - the VPC's private subnets */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** The database of `secrets`, as in `SecretOptions`. @default - give it to `addSecret` */
  readonly database?: ec2.IConnectable;
  /**
   * The VPC's endpoint for Secrets Manager, or its security group. It gets one rule that admits the function.
   *
   * To make one: `vpc.addInterfaceEndpoint('SecretsManager', { service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER })`.
   *
   * @default - set `apiCidr` instead
   */
  readonly endpoint?: ec2.IConnectable;
  /**
   * IPv4 addresses that the function may reach over HTTPS: APIs whose keys rotate, or `0.0.0.0/0` for Secrets Manager through a NAT
   * gateway.
   *
   * @default - none
   */
  readonly apiCidr?: string;
  /** IPv4 addresses of the VPC's own DNS servers. @default - Amazon's, which need no rule */
  readonly dnsCidr?: string;
}

/** Alarms, who gets them, and the services that restart after a rotation. */
export interface WatchSettings {
  /** The address that gets the alarms. @default - only the subscribers of `topic` */
  readonly alarmEmail?: string;
  /** Alarm when a secret is older than this, regardless of its schedule. In whole days. @default - no alarm */
  readonly maximumAge?: Duration;
  /** The log group of a CloudTrail trail, for the alarm on unknown readers. @default - no alarm */
  readonly trailLogGroup?: logs.ILogGroup;
  /** Principals that may read, as `userIdentity.arn` in CloudTrail. Only with `trailLogGroup`. @default - the function alone */
  readonly knownReaders?: string[];
  /**
   * Names and ARNs of the secrets whose failed rotations and unknown readers raise an alarm, and whose replicas operators may promote,
   * such as `*orders/*`.
   *
   * @default *
   */
  readonly watchedSecrets?: string;
  /** ARNs of ECS services that read their secret only at start. Each restarts when a secret has rotated. @default - none */
  readonly restartEcsServices?: string[];
  /** The secrets that these services read. @default - all that `watchedSecrets` names */
  readonly restartSecrets?: secretsmanager.ISecret[];
  /** Whether the operator's policy allows reading and repairing values. doctor and compromised log in with them. @default true */
  readonly operatorReadsValues?: boolean;
}

/** Properties of `SecretRotationFunction`. Properties of plain types have the names of the parameters in docs/operations.md. */
export interface SecretRotationFunctionProps extends PasswordSettings, NetworkSettings, WatchSettings {
  /** The path of the function's package: secret-rotation-arm64.zip of a release, or of `make build ARCH=arm64`. */
  readonly package: string;
  /** The secrets to rotate. @default - give them to `addSecret` */
  readonly secrets?: secretsmanager.ISecret[];
  /** The secrets that `masterarn` names. The function only reads these. @default - none */
  readonly administrators?: secretsmanager.ISecret[];
  /** The KMS keys of imported secrets. The construct finds those of other secrets. @default - `encryptionKey` of the secrets */
  readonly encryptionKeys?: kms.IKey[];
  /** The name of the function, and in the names of the log group, alarms and dashboard. At most 54 characters. @default secret-rotation */
  readonly functionName?: string;
  /**
   * When each secret rotates, in UTC, such as `cron(0 3 ? * SUN *)`. At most once in four hours. `expressionString` of an
   * `events.Schedule` fits.
   *
   * @default rate(30 days)
   */
  readonly scheduleExpression?: string;
  /** The length of the rotation window, such as `3h`, within the same UTC day. @default - Secrets Manager chooses */
  readonly scheduleWindow?: string;
  /** Whether a deployment rotates too. If not, Secrets Manager runs testSecret and changes nothing. @default false */
  readonly rotateImmediately?: boolean;
  /**
   * The overlap window: how long the previous of two users can log in after a rotation. For a window without an end:
   * `function.addEnvironment('OVERLAP_WINDOW', 'unbounded')`.
   *
   * @default Duration.hours(24)
   */
  readonly overlap?: Duration;
  /** The function's memory in MB. @default 256 */
  readonly memorySize?: number;
  /** The time limit of one step. @default Duration.seconds(60) */
  readonly timeout?: Duration;
  /** Executions that are reserved for the function. This is also its limit. -1 means the account's limit. @default -1 */
  readonly reservedConcurrency?: number;
  /** @default logs.RetentionDays.ONE_YEAR */
  readonly logRetention?: logs.RetentionDays;
  /** The least severe level that is logged: ERROR, WARN, INFO, DEBUG or TRACE. @default INFO */
  readonly logLevel?: string;
  /** Hosts whose API keys the function may rotate; `private:HOST` for a host whose address is not public. @default - none */
  readonly allowedHosts?: string[];
  /** PEM file of roots to trust for databases, beside RDS's and the public ones, such as `/opt/ca.pem` in a layer. @default - none */
  readonly tlsCaFile?: string;
  /** PEM file of roots to trust for Secrets Manager, in place of Amazon's, such as `/opt/ca.pem` in a layer. @default - Amazon's roots */
  readonly awsCaBundle?: string;
  /** Layers that hold these files; five at most. @default - none */
  readonly layers?: lambda.ILayerVersion[];
  /** Another address of Secrets Manager. @default - the region's */
  readonly secretsManagerUrl?: string;
}

/** Options of `SecretRotationFunction.addSecret`. */
export interface SecretOptions {
  /**
   * The secret's database: a construct of `aws-rds`, its security group, or `ec2.Connections` with a peer for a database elsewhere. Its
   * security group gets one rule that admits the function.
   *
   * @default - no rule: a database on the internet, or an API
   */
  readonly database?: ec2.IConnectable;
  /** The database's port. @default - the default port of `database`, or 5432 */
  readonly port?: number;
  /**
   * Whether CloudFormation writes the database's host and port into the secret's JSON (`SecretTargetAttachment`). A secret can be attached
   * once.
   *
   * @default - true for a secret that this app makes and has not attached, if `database` is a construct of `aws-rds`; false for an
   * imported secret, which has its JSON already
   */
  readonly attach?: boolean;
}

/** A secret that the function rotates. */
export interface RotatedSecret {
  /** The policy for the application's role: it allows reading this secret, and nothing else. */
  readonly applicationPolicy: iam.IManagedPolicy;
  /** When the secret rotates. Secrets Manager tests the secret as soon as the schedule exists. */
  readonly schedule: secretsmanager.CfnRotationSchedule;
}
