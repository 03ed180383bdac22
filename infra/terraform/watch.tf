# The alarms and who gets them. Each alarm has its section in docs/operations.md.

# Not encrypted with a KMS key: with aws/sns neither CloudWatch nor EventBridge can publish, and alarms hold no secret.
resource "aws_sns_topic" "alarms" {
  name = "${var.function_name}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsAndEventsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# Secrets Manager gave up. The event comes through CloudTrail, so it needs a trail; the alarms below do not.
resource "aws_cloudwatch_event_rule" "rotation_failed" {
  name        = "${var.function_name}-failed"
  description = "A rotation, or the test of one, failed for good or was abandoned"
  tags        = var.tags
  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = {
      eventSource         = ["secretsmanager.amazonaws.com"]
      eventName           = ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]
      additionalEventData = { SecretId = [{ wildcard = var.watched_secrets }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "rotation_failed" {
  rule = aws_cloudwatch_event_rule.rotation_failed.name
  arn  = aws_sns_topic.alarms.arn
  input_transformer {
    input_paths = {
      event  = "$.detail.eventName"
      secret = "$.detail.additionalEventData.SecretId"
      time   = "$.time"
    }
    input_template = "\"<event> at <time>: <secret>. See docs/operations.md, RotationFailed.\""
  }
}

locals {
  of_function = { FunctionName = var.function_name }

  # alarms on one metric that ring above zero; ok: whether they also send an OK, which for events would only mean that none came in
  # five minutes
  alarms = merge(
    {
      overdue   = { namespace = "SecretRotation", metric = "Overdue", statistic = "Maximum", period = 3600, missing = "ignore", ok = true, dimensions = local.of_function, description = "A secret should have rotated, and has not" }
      failures  = { namespace = "SecretRotation", metric = "Failures", statistic = "Sum", period = 300, missing = "notBreaching", ok = false, dimensions = local.of_function, description = "A step failed" }
      throttles = { namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", period = 300, missing = "notBreaching", ok = false, dimensions = local.of_function, description = "Lambda refused invocations" }
      errors    = { namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", period = 300, missing = "notBreaching", ok = false, dimensions = local.of_function, description = "An invocation failed, or did not finish" }
    },
    var.trail_log_group == "" ? {} : {
      unknown-readers = { namespace = "SecretRotation", metric = "${var.function_name}-unknown-readers", statistic = "Sum", period = 300, missing = "notBreaching", ok = false, dimensions = {}, description = "An unknown principal read a secret" }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "above_zero" {
  for_each            = local.alarms
  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = "${each.value.description}. docs/operations.md, ${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = each.value.ok ? [aws_sns_topic.alarms.arn] : []
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "age_check" {
  alarm_name          = "${var.function_name}-age-check"
  alarm_description   = "The age check does not run, so an overdue secret raises no alarm. docs/operations.md, age-check"
  namespace           = "SecretRotation"
  metric_name         = "Overdue"
  dimensions          = local.of_function
  statistic           = "SampleCount"
  period              = 3600
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "missing" # breaching would ring before the first check
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  insufficient_data_actions = [aws_sns_topic.alarms.arn] # the check ran before, and stopped
  tags                      = var.tags
}

resource "aws_cloudwatch_metric_alarm" "oldest_age" {
  count               = var.maximum_age_days > 0 ? 1 : 0
  alarm_name          = "${var.function_name}-oldest-age"
  alarm_description   = "A secret is older than MaximumAgeDays. docs/operations.md, oldest-age"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.maximum_age_days
  evaluation_periods  = 1
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "days"
    label       = "days"
    expression  = "seconds / 86400"
    return_data = true
  }
  metric_query {
    id = "seconds"
    metric {
      namespace   = "SecretRotation"
      metric_name = "OldestAge"
      dimensions  = local.of_function
      period      = 3600
      stat        = "Maximum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  alarm_name          = "${var.function_name}-duration"
  alarm_description   = "A step took more than four fifths of the timeout. docs/operations.md, duration"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "percent"
    label       = "percent of the timeout"
    expression  = "milliseconds / (${var.timeout} * 10)"
    return_data = true
  }
  metric_query {
    id = "milliseconds"
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Duration"
      dimensions  = local.of_function
      period      = 300
      stat        = "Maximum"
    }
  }
}

# An unknown principal read a secret, or tried to. A pattern has 1,024 characters, some seven readers.
resource "aws_cloudwatch_log_metric_filter" "unknown_readers" {
  count          = var.trail_log_group == "" ? 0 : 1
  name           = "${var.function_name}-unknown-readers"
  log_group_name = var.trail_log_group
  pattern = format("{ %s }", join(" && ", concat(
    [
      "($.eventSource = \"secretsmanager.amazonaws.com\")",
      "(($.eventName = \"GetSecretValue\" && $.requestParameters.secretId = \"${var.watched_secrets}\") || $.eventName = \"BatchGetSecretValue\")",
      "($.userIdentity.arn != \"arn:${data.aws_partition.this.partition}:sts::${local.account}:assumed-role/${aws_iam_role.function.name}/*\")",
    ],
    [for reader in var.known_readers : "($.userIdentity.arn != \"${reader}\")"],
  )))

  metric_transformation {
    namespace = "SecretRotation"
    name      = "${var.function_name}-unknown-readers"
    value     = "1"
  }
}

resource "aws_cloudwatch_dashboard" "rotation" {
  dashboard_name = var.function_name
  dashboard_body = jsonencode({ widgets = [
    { type = "metric", x = 0, y = 0, width = 12, height = 6, properties = {
      title = "Rotations and failed steps", region = local.region, stat = "Sum", period = 3600
      metrics = [
        ["SecretRotation", "Rotations", "FunctionName", var.function_name],
        [{ expression = "SEARCH('{SecretRotation,FunctionName,Step,ErrorType} MetricName=\"Failures\" FunctionName=\"${var.function_name}\"', 'Sum', 3600)" }],
      ]
    } },
    { type = "metric", x = 12, y = 0, width = 12, height = 6, properties = {
      title = "Overdue, and the oldest age in days", region = local.region, stat = "Maximum", period = 3600
      metrics = [
        ["SecretRotation", "Overdue", "FunctionName", var.function_name],
        ["SecretRotation", "OldestAge", "FunctionName", var.function_name, { id = "seconds", visible = false }],
        [{ expression = "seconds / 86400", label = "days", yAxis = "right" }],
      ]
    } },
    { type = "metric", x = 0, y = 6, width = 12, height = 6, properties = {
      title = "Steps, in milliseconds", region = local.region, stat = "Maximum", period = 3600
      metrics = [
        [{ expression = "SEARCH('{SecretRotation,FunctionName,Step} MetricName=\"StepDuration\" FunctionName=\"${var.function_name}\"', 'Maximum', 3600)" }],
      ]
    } },
    { type = "metric", x = 12, y = 6, width = 12, height = 6, properties = {
      title = "The function", region = local.region, stat = "Sum", period = 3600
      metrics = [
        ["AWS/Lambda", "Invocations", "FunctionName", var.function_name],
        ["AWS/Lambda", "Errors", "FunctionName", var.function_name],
        ["AWS/Lambda", "Throttles", "FunctionName", var.function_name],
      ]
    } },
    { type = "log", x = 0, y = 12, width = 24, height = 6, properties = {
      title = "What failed", region = local.region, view = "table"
      query = "SOURCE '${aws_cloudwatch_log_group.function.name}' | fields @timestamp, secret, step, error_type, error | filter level = 'ERROR' | sort @timestamp desc | limit 20"
    } },
  ] })
}
