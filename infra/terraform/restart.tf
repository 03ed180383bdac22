# Restarts ECS services that read their secret only at start, when AWSCURRENT has moved. infra/sam/template.yaml has the reasons.

locals {
  restarts = length(var.restart_ecs_services) > 0 ? 1 : 0
}

resource "aws_cloudwatch_event_rule" "restart" {
  count       = local.restarts
  name        = "${var.function_name}-restart"
  description = "AWSCURRENT has moved, so ECS services that read it only at start are restarted"
  tags        = var.tags
  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["Secret Label Updated"]
    resources   = concat(var.restart_secrets, length(var.restart_secrets) > 0 ? [] : [{ wildcard = var.watched_secrets }])
    detail      = { labelUpdated = ["AWSCURRENT"] }
  })
}

resource "aws_cloudwatch_event_target" "restart" {
  count    = local.restarts
  rule     = aws_cloudwatch_event_rule.restart[0].name
  arn      = aws_sfn_state_machine.restart[0].arn
  role_arn = aws_iam_role.restart_rule[0].arn
}

resource "aws_iam_role" "restart_rule" {
  count                = local.restarts
  permissions_boundary = local.boundary
  name_prefix          = substr("${var.function_name}-rule", 0, 38)
  description          = "Starts the restart of ECS services"
  tags                 = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridge"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "restart_rule" {
  count = local.restarts
  name  = "start"
  role  = aws_iam_role.restart_rule[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "StartTheRestart"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = aws_sfn_state_machine.restart[0].arn
    }]
  })
}

resource "aws_sfn_state_machine" "restart" {
  count      = local.restarts
  name       = "${var.function_name}-restart"
  role_arn   = aws_iam_role.restart[0].arn
  tags       = var.tags
  depends_on = [aws_iam_role_policy.restart]
  definition = jsonencode({
    Comment        = "Restarts the ECS services that read their secret only at start"
    TimeoutSeconds = 1800
    StartAt        = "Services"
    States = {
      Services = { Type = "Pass", Result = var.restart_ecs_services, Next = "EachService" }
      EachService = {
        Type = "Map"
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "UpdateService"
          States = {
            UpdateService = {
              Type     = "Task"
              Resource = "arn:${data.aws_partition.this.partition}:states:::aws-sdk:ecs:updateService"
              Parameters = {
                "Cluster.$"        = "States.ArrayGetItem(States.StringSplit($, '/'), 1)"
                "Service.$"        = "States.ArrayGetItem(States.StringSplit($, '/'), 2)"
                ForceNewDeployment = true
              }
              ResultPath = null
              Retry      = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 5, BackoffRate = 2, MaxAttempts = 7 }]
              Catch      = [{ ErrorEquals = ["States.ALL"], Next = "NotRestarted" }]
              End        = true
            }
            NotRestarted = { Type = "Pass", Result = "not restarted", End = true }
          }
        }
        ResultSelector = { "failed.$" = "States.ArrayContains($, 'not restarted')" }
        Next           = "All"
      }
      All = {
        Type    = "Choice"
        Choices = [{ Variable = "$.failed", BooleanEquals = true, Next = "Failed" }]
        Default = "Done"
      }
      Failed = {
        Type  = "Fail"
        Error = "NotRestarted"
        Cause = "ECS did not restart a service: see the failed tasks of this execution. docs/operations.md, restart"
      }
      Done = { Type = "Succeed" }
    }
  })
}

resource "aws_iam_role" "restart" {
  count                = local.restarts
  permissions_boundary = local.boundary
  name_prefix          = substr("${var.function_name}-restart", 0, 38)
  description          = "Restarts ECS services"
  tags                 = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "StepFunctions"
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "restart" {
  count = local.restarts
  name  = "restart"
  role  = aws_iam_role.restart[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "RestartTheServices"
      Effect   = "Allow"
      Action   = "ecs:UpdateService"
      Resource = var.restart_ecs_services
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "restart" {
  count               = local.restarts
  alarm_name          = "${var.function_name}-restart"
  alarm_description   = "An ECS service was not restarted, and still uses the old password. docs/operations.md, restart"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "restarts"
    label       = "restarts that failed"
    expression  = "FILL(failed, 0) + FILL(timedout, 0) + FILL(unsent, 0)"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = {
      failed   = { namespace = "AWS/States", name = "ExecutionsFailed", of = { StateMachineArn = aws_sfn_state_machine.restart[0].arn } }
      timedout = { namespace = "AWS/States", name = "ExecutionsTimedOut", of = { StateMachineArn = aws_sfn_state_machine.restart[0].arn } }
      unsent   = { namespace = "AWS/Events", name = "FailedInvocations", of = { RuleName = aws_cloudwatch_event_rule.restart[0].name } }
    }
    content {
      id          = metric_query.key
      return_data = false
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.of
        period      = 300
        stat        = "Sum"
      }
    }
  }
}
