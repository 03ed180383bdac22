import { Aws, CfnResource, Duration, Lazy, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { camel, make } from './made';
import { Network } from './network';
import { parameters, wrong } from './parameters';
import { RotatedSecret, SecretOptions, SecretRotationFunctionProps } from './props';
import { explain } from './reasons';
import { checkDatabase, checkSecret, keyArn, twice } from './refused';
import { attach, lasting, owner, Rotated } from './secret';
import { Template } from './template';

// resources that are constructs of the CDK, so that an app can change them; src/network.ts has the network, src/made.ts makes the rest
const NATIVE = [
  'FunctionRole', 'OperatorPolicy', 'ApplicationPolicy', 'LogGroup', 'Function', 'SecretsManagerInvokes', 'Schedule', 'Topic',
  'TopicPolicy', 'Email', 'TheWay', // dependencies in place of a handle that waits
];
const OTHERS = Object.keys(Template.TYPES).filter((name) => !NATIVE.includes(name) && !Template.TYPES[name].startsWith('AWS::EC2::'));

/**
 * The function that rotates secrets, with least privilege, schedules, alarms and a dashboard. Its resources are those of
 * infra/sam/template.yaml. A deployment only runs testSecret: nothing rotates before its time.
 */
export class SecretRotationFunction extends Construct implements ec2.IConnectable {
  /** The function. */
  public readonly function: lambda.Function;
  /** The function's role. */
  public readonly role: iam.Role;
  /** The topic of the alarms. */
  public readonly topic: sns.Topic;
  /** The function's log. It outlives the stack. */
  public readonly logGroup: logs.LogGroup;
  /** The policy for the role of people who run rotatectl. */
  public readonly operatorPolicy: iam.IManagedPolicy;
  /** The secrets that rotate, in the order of their addition. */
  public readonly secrets: RotatedSecret[] = [];

  private readonly template: Template;
  private readonly network?: Network;
  private readonly keys: string[] = [];
  private readonly made: Record<string, CfnResource> = {};

  public constructor(scope: Construct, id: string, props: SecretRotationFunctionProps) {
    super(scope, id);
    this.template = new Template({ ...parameters(props), KmsKeyArns: this.keys }, (name) => this.reference(name));
    const refused = wrong(props, this.template);
    if (refused.length > 0) throw new Error(`${this.node.path}: ${refused.join(' ')}`);
    props.encryptionKeys?.forEach((key) => this.addKey(key));
    props.administrators?.forEach((secret) => this.addKey(secret.encryptionKey));

    this.logGroup = this.makeLogGroup();
    this.role = this.makeRole();
    this.network = props.vpc && new Network(this, 'Network', { ...props, vpc: props.vpc, functionName: this.functionName });
    this.function = this.makeFunction(props);
    this.topic = new sns.Topic(this, 'Topic', { topicName: this.template.properties('Topic').TopicName });
    this.notify(props);
    this.operatorPolicy = this.makeOperatorPolicy();
    this.checkAges();
    this.template.existing(OTHERS).forEach((name) => this.resource(name));

    props.secrets?.forEach((secret) => this.addSecret(secret, { database: props.database }));
    this.node.addValidation({ validate: () => this.missing() });
  }

  /** The name of the function. */
  public get functionName(): string {
    return String(this.template.value('FunctionName'));
  }

  /** The connections of the function. Throws an error outside any VPC. */
  public get connections(): ec2.Connections {
    return this.function.connections;
  }

  /**
   * Rotates one more secret. Opens the database's security group for the function; the schedule waits for that rule, for the endpoint of
   * Secrets Manager, and for the database.
   */
  public addSecret(secret: secretsmanager.ISecret, options: SecretOptions = {}): RotatedSecret {
    const { database, port } = options;
    secret = owner(secret);
    const id = lasting(secret);
    if (database && !this.network) throw new Error(`${this.node.path}: \`database\` needs \`vpc\`: otherwise there is no rule to make.`);
    if (database) checkDatabase(database);
    checkSecret(secret, Stack.of(this));
    if (this.node.tryFindChild(id)) throw new Error(`${secret.node.path}: the secret rotates already with ${this.node.path}. Add it once.`);
    this.addKey(secret.encryptionKey);
    const rotated = new Rotated(this, id, secret, this.template);
    rotated.schedule.node.addDependency(this.function, ...attach(secret, options)); // and for the permission to invoke it
    if (database) {
      const usual = database.connections.defaultPort ?? ec2.Port.tcp(Number(this.template.value('DatabasePorts')));
      this.network!.reach(database, port === undefined ? usual : ec2.Port.tcp(port));
    }
    if (this.network) rotated.schedule.node.addDependency(...this.network.way(database));
    this.secrets.push(rotated);
    return rotated;
  }

  /** How many secrets are overdue. */
  public metricOverdue(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Overdue', 'Maximum', Duration.hours(1), options);
  }

  /** The age of the oldest secret, in seconds. */
  public metricOldestAge(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('OldestAge', 'Maximum', Duration.hours(1), options);
  }

  /** Steps that failed. */
  public metricFailures(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Failures', 'Sum', Duration.minutes(5), options);
  }

  /** Rotations that finished. */
  public metricRotations(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Rotations', 'Sum', Duration.hours(1), options);
  }

  private metric(metricName: string, statistic: string, period: Duration, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    const dimensionsMap = { FunctionName: this.functionName };
    return new cloudwatch.Metric({ namespace: 'SecretRotation', metricName, dimensionsMap, statistic, period, ...options }).attachTo(this);
  }

  private makeLogGroup(): logs.LogGroup {
    const { LogGroupName, RetentionInDays } = this.template.properties('LogGroup');
    return new logs.LogGroup(this, 'LogGroup', {
      logGroupName: LogGroupName,
      retention: RetentionInDays,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }

  private makeRole(): iam.Role {
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    // secrets that are added later may have keys
    const policies = Lazy.any({ produce: () => camel(this.template.properties('FunctionRole').Policies) });
    const resource = role.node.defaultChild as iam.CfnRole;
    resource.policies = policies;
    explain('FunctionRole', resource);
    return role;
  }

  private makeFunction(props: SecretRotationFunctionProps): lambda.Function {
    const { Description, Handler, Environment, ReservedConcurrentExecutions, MemorySize, Timeout } = this.template.properties('Function');
    const variables = Object.entries(Environment.Variables).map(([name, value]) => [name, String(value)]);
    const made = new lambda.Function(this, 'Function', {
      functionName: this.functionName,
      description: Description,
      code: lambda.Code.fromAsset(props.package),
      handler: Handler,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: lambda.Architecture.ARM_64,
      role: this.role,
      layers: props.layers,
      memorySize: MemorySize,
      timeout: Duration.seconds(Timeout),
      reservedConcurrentExecutions: ReservedConcurrentExecutions,
      logGroup: this.logGroup,
      environment: Object.fromEntries(variables),
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: this.network && [this.network.securityGroup],
    });
    explain('Function', made.node.defaultChild as CfnResource);
    // only Secrets Manager of this account
    made.addPermission('SecretsManager', {
      principal: new iam.ServicePrincipal('secretsmanager.amazonaws.com'),
      sourceAccount: Aws.ACCOUNT_ID,
    });
    return made;
  }

  private notify(props: SecretRotationFunctionProps): void {
    explain('Topic', this.topic.node.defaultChild as CfnResource);
    const [statement] = this.template.properties('TopicPolicy').PolicyDocument.Statement;
    this.topic.addToResourcePolicy(iam.PolicyStatement.fromJson(statement));
    if (props.alarmEmail) this.topic.addSubscription(new subscriptions.EmailSubscription(props.alarmEmail));
  }

  private makeOperatorPolicy(): iam.IManagedPolicy {
    const policy = new iam.CfnManagedPolicy(this, 'OperatorPolicy', {
      description: this.template.properties('OperatorPolicy').Description,
      policyDocument: Lazy.any({ produce: () => this.template.properties('OperatorPolicy').PolicyDocument }),
    });
    explain('OperatorPolicy', policy);
    return iam.ManagedPolicy.fromManagedPolicyArn(this, 'Operator', policy.ref);
  }

  private checkAges(): void {
    const { Schedule, Input } = this.template.properties('Function').Events.AgeCheck.Properties;
    new events.Rule(this, 'AgeCheck', {
      description: 'Runs the age check, which looks for overdue secrets',
      schedule: events.Schedule.expression(Schedule),
      targets: [new targets.LambdaFunction(this.function, { event: events.RuleTargetInput.fromObject(JSON.parse(Input)) })],
    });
  }

  /** Makes a resource with src/made.ts. */
  private resource(name: string): CfnResource {
    if (!this.made[name]) {
      this.made[name] = make(this, name, Template.TYPES[name], this.template.properties(name));
      explain(name, this.made[name]);
    }
    return this.made[name];
  }

  /** The value of a `Ref` or `Fn::GetAtt` of the template. */
  private reference(name: string): string {
    switch (name) {
      case 'Function.Arn': return this.function.functionArn;
      case 'FunctionRole': return this.role.roleName;
      case 'FunctionRole.Arn': return this.role.roleArn;
      case 'FunctionSecurityGroup': return this.network!.securityGroup.securityGroupId;
      case 'LogGroup': return this.logGroup.logGroupName;
      case 'LogGroup.Arn': return this.logGroup.logGroupArn;
      case 'Topic': return this.topic.topicArn;
    }
    const [resource, attribute] = name.split('.');
    return attribute ? this.resource(resource).getAtt(attribute).toString() : this.resource(resource).ref;
  }

  private addKey(key?: kms.IKey): void {
    if (key && !this.keys.includes(keyArn(key))) this.keys.push(keyArn(key));
  }

  private missing(): string[] {
    const secrets = this.secrets.length > 0 ? [] : ['There is no secret to rotate. Give `secrets`, or call addSecret.'];
    const schedules = this.secrets.map(({ schedule }) => schedule);
    return [...secrets, ...(this.network?.missing() ?? []), ...twice(this, this.functionName, schedules)];
  }
}
