// example.js FOLDER: synthesizes example/app.ts as `cdk synth` does, into this folder. The account's values are given here.

import { copyFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE } from './world';

const subnets = ['a', 'b'].map((zone, index) => ({
  subnetId: `subnet-0123456789abcdef${index}`,
  cidr: `10.0.${index}.0/24`,
  availabilityZone: `eu-central-1${zone}`,
  routeTableId: 'rtb-0123456789abcdef0',
}));
const subnetGroups = [{ name: 'Private', type: 'Private', subnets }];
const lookup = 'vpc-provider:account=123456789012:filter.vpc-id=vpc-0123456789abcdef0:region=eu-central-1:returnAsymmetricSubnets=true';
process.env.CDK_CONTEXT_JSON = JSON.stringify({
  [lookup]: { vpcId: 'vpc-0123456789abcdef0', vpcCidrBlock: '10.0.0.0/16', availabilityZones: [], subnetGroups },
});
delete process.env.CDK_VALIDATION;
process.env.CDK_OUTDIR = process.argv[2];
process.chdir(mkdtempSync(join(tmpdir(), 'secret-rotation-')));
copyFileSync(PACKAGE, 'secret-rotation-arm64.zip');
require('../example/app');
