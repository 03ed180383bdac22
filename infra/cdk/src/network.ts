import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct, IDependable } from 'constructs';
import { NetworkSettings } from './props';
import { checkGroups } from './refused';

/** @internal */
export interface NetworkProps extends NetworkSettings {
  readonly vpc: ec2.IVpc;
  readonly functionName: string;
}

/**
 * The function's security group: it reaches only the databases' ports and Secrets Manager. It resolves names with Amazon's
 * resolver, which no security group stops, or with the servers in `dnsCidr`.
 *
 * @internal
 */
export class Network extends Construct {
  public readonly securityGroup: ec2.SecurityGroup;
  private readonly ways: IDependable[];
  private reachesDatabase = false;

  public constructor(scope: Construct, id: string, private readonly props: NetworkProps) {
    super(scope, id);
    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: `${props.functionName}, to the databases and to Secrets Manager`,
      allowAllOutbound: false,
    });
    this.ways = [this.securityGroup];
    const { apiCidr, dnsCidr, endpoint } = props;
    if (apiCidr) this.securityGroup.addEgressRule(ec2.Peer.ipv4(apiCidr), ec2.Port.HTTPS, 'APIs whose keys rotate');
    if (dnsCidr) {
      this.securityGroup.addEgressRule(ec2.Peer.ipv4(dnsCidr), ec2.Port.DNS_UDP, 'DNS servers of the VPC');
      this.securityGroup.addEgressRule(ec2.Peer.ipv4(dnsCidr), ec2.Port.DNS_TCP, 'DNS servers of the VPC, long answers');
    }
    if (endpoint) {
      checkGroups(endpoint);
      this.securityGroup.connections.allowTo(endpoint, ec2.Port.HTTPS, `${props.functionName} to Secrets Manager`);
      this.ways.push(...constructs(endpoint));
    }
  }

  /** Opens the database's security group for the function. */
  public reach(database: ec2.IConnectable, port: ec2.Port): void {
    this.securityGroup.connections.allowTo(database, port, `${this.props.functionName} to a database`);
    this.reachesDatabase = true;
  }

  /** The first rotation must wait for these: every rule, the endpoint, and the database. */
  public way(database?: ec2.IConnectable): IDependable[] {
    return [...this.ways, ...(database ? constructs(database) : [])];
  }

  /** An error for each way that a rotation needs and that the properties do not open. */
  public missing(): string[] {
    const database = 'The function cannot reach the database: `vpc` needs `database`, of `secrets` or in addSecret.';
    const service = 'The function cannot reach Secrets Manager: `vpc` needs `endpoint`, or `apiCidr` and a NAT gateway.';
    const isolated = 'The function cannot reach Secrets Manager: its subnets have no NAT gateway. `vpc` needs `endpoint`.';
    const { apiCidr, endpoint, vpc, vpcSubnets } = this.props;
    const kept = new Set(vpc.isolatedSubnets.map(({ subnetId }) => subnetId));
    // an imported VPC may have a route that the CDK does not know, such as to a firewall
    const shut = apiCidr === '0.0.0.0/0' && vpc instanceof ec2.Vpc && vpc.selectSubnets(vpcSubnets).subnetIds.every((id) => kept.has(id));
    return [
      ...(this.reachesDatabase ? [] : [database]),
      ...(endpoint || apiCidr ? [] : [service]),
      ...(!endpoint && shut ? [isolated] : []),
    ];
  }
}

/** The construct itself, and the security groups that have its rules. */
function constructs(connectable: ec2.IConnectable): IDependable[] {
  return [...(Construct.isConstruct(connectable) ? [connectable] : []), ...connectable.connections.securityGroups];
}
