# The function, who may invoke it, and when. The variables and the resources are those of infra/sam/template.yaml.

locals {
  account = data.aws_caller_identity.this.account_id
  region  = data.aws_region.this.id # not name, which the provider removed in version 6
  # built here, because the role's policy names the function, which needs the role
  function_arn = "arn:${data.aws_partition.this.partition}:lambda:${local.region}:${local.account}:function:${var.function_name}"
  all_secrets  = "arn:${data.aws_partition.this.partition}:secretsmanager:${local.region}:${local.account}:secret:*"
  # not vpc_id and not the number of subnets, because the plan may not know resources of the same configuration yet. Without a VPC
  # neither of these is set; in a VPC one has to be.
  in_vpc = length(var.database_security_group_ids) + length(var.database_cidrs) > 0
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention_days
  skip_destroy      = true # the log outlives the function
  tags              = var.tags
}

resource "aws_lambda_function" "function" {
  function_name                  = var.function_name
  description                    = "Rotates the credentials in Secrets Manager"
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = ["arm64"]
  role                           = aws_iam_role.function.arn
  memory_size                    = var.memory_size
  timeout                        = var.timeout
  reserved_concurrent_executions = var.reserved_concurrency
  layers                         = var.layer_arns
  tags                           = var.tags

  logging_config {
    log_format = "Text" # the function writes JSON itself
    log_group  = aws_cloudwatch_log_group.function.name
  }

  environment {
    variables = {
      LOG_LEVEL                     = var.log_level
      OVERLAP_WINDOW                = var.overlap_window
      PASSWORD_LENGTH               = tostring(var.password_length)
      EXCLUDE_CHARACTERS            = var.exclude_characters
      EXCLUDE_NUMBERS               = tostring(var.exclude_numbers)
      EXCLUDE_PUNCTUATION           = tostring(var.exclude_punctuation)
      EXCLUDE_UPPERCASE             = tostring(var.exclude_uppercase)
      EXCLUDE_LOWERCASE             = tostring(var.exclude_lowercase)
      REQUIRE_EACH_INCLUDED_TYPE    = tostring(var.require_each_included_type)
      PASSWORD_CHARACTERS           = var.password_characters
      PASSWORD_HASHING              = var.password_hashing
      ADMINISTRATOR_CHANNEL_BINDING = var.administrator_channel_binding
      POOLER_ASKS_SERVER            = tostring(var.pooler_asks_server)
      VERIFY_SQL                    = var.verify_sql
      ALLOWED_HOSTS                 = var.allowed_hosts
      ADMINISTRATOR_SECRETS         = join(",", var.administrator_secret_arns)
      TLS_CA_FILE                   = var.tls_ca_file
      AWS_CA_BUNDLE                 = var.aws_ca_bundle
      SECRETS_MANAGER_ENDPOINT      = var.secrets_manager_url
    }
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = [aws_security_group.function[0].id]
    }
  }

  depends_on = [aws_iam_role_policy.function] # Lambda checks the role's rights on the VPC
}

# Only Secrets Manager of this account.
resource "aws_lambda_permission" "secrets_manager" {
  statement_id   = "SecretsManager"
  function_name  = aws_lambda_function.function.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}

resource "aws_secretsmanager_secret_rotation" "secret" {
  for_each            = var.secret_arns
  secret_id           = each.value
  rotation_lambda_arn = aws_lambda_function.function.arn
  rotate_immediately  = var.rotate_immediately

  rotation_rules {
    schedule_expression = var.schedule_expression
    duration            = var.schedule_window == "" ? null : var.schedule_window
  }

  # a new schedule runs testSecret
  depends_on = [
    aws_lambda_permission.secrets_manager,
    aws_vpc_endpoint.service,
    aws_security_group.function,
    aws_vpc_security_group_ingress_rule.database,
    aws_vpc_security_group_ingress_rule.endpoint,
    aws_vpc_security_group_ingress_rule.existing_endpoint,
  ]
}

# The age check.
resource "aws_cloudwatch_event_rule" "age_check" {
  name                = "${var.function_name}-age-check"
  description         = "Runs the age check, which looks for overdue secrets"
  schedule_expression = "rate(1 hour)"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "age_check" {
  rule  = aws_cloudwatch_event_rule.age_check.name
  arn   = aws_lambda_function.function.arn
  input = jsonencode({ Check = "age" })
}

resource "aws_lambda_permission" "age_check" {
  statement_id  = "AgeCheck"
  function_name = aws_lambda_function.function.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.age_check.arn
}
