import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { EVERYTHING, group, network, outside, stackOf } from './world';

/** The construct with all resources that may have a finding. */
function full(): Stack {
  const stack = stackOf();
  outside(stack, {
    vpc: network(stack),
    database: group(stack, 'Database', 'sg-0123456789abcdef0'),
    endpoint: group(stack, 'Endpoint', 'sg-0123456789abcdef1'),
    apiCidr: '0.0.0.0/0',
    maximumAge: Duration.days(45),
    trailLogGroup: logs.LogGroup.fromLogGroupName(stack, 'Trail', 'trail'),
    restartEcsServices: EVERYTHING.RestartEcsServices,
  });
  return stack;
}

test('cdk-nag finds nothing that the construct does not explain', () => {
  const { violations } = new AwsSolutionsChecks().validateScope(full());
  const found = violations.flatMap(({ ruleName, violatingResources }) =>
    violatingResources.map(({ resourceLogicalId }) => `${ruleName} ${resourceLogicalId}`));
  assert.deepEqual(found, []);
});
