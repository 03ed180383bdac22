# The rights of each role. infra/sam/template.yaml has the reason of each statement; a test compares the two.

locals {
  boundary            = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  with_keys           = length(var.kms_key_arns) > 0
  with_administrators = length(var.administrator_secret_arns) > 0
  through_the_service = { "kms:ViaService" = "secretsmanager.${local.region}.${data.aws_partition.this.dns_suffix}" }
  given_to_function   = { "secretsmanager:resource/AllowRotationLambdaArn" = local.function_arn }

  function_statements = concat(
    [{
      Sid    = "RotateTheSecrets"
      Effect = "Allow"
      Action = [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
      ]
      Resource  = local.all_secrets
      Condition = { StringEquals = local.given_to_function }
    }],
    !local.with_administrators ? [] : [{
      Sid      = "ReadTheAdministrators"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.administrator_secret_arns
    }],
    !local.with_keys ? [] : [{
      Sid       = "UseTheKeysForTheSecrets"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.kms_key_arns
      Condition = { StringEquals = local.through_the_service, StringLike = { "kms:EncryptionContext:SecretARN" = local.all_secrets } }
    }],
    [{
      Sid      = "ListTheSecretsForTheAgeCheck"
      Effect   = "Allow"
      Action   = "secretsmanager:ListSecrets"
      Resource = "*" # the action has no resource
    }],
    [{
      Sid      = "WriteTheLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.function.arn}:*"
    }],
    !local.in_vpc ? [] : [{
      Sid    = "LetLambdaJoinTheVpc"
      Effect = "Allow"
      Action = [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
      ]
      Resource = "*" # Lambda checks before an interface exists
    }],
    !local.in_vpc ? [] : [{
      Sid       = "KeepTheVpcFromTheCode"
      Effect    = "Deny"
      Action    = "ec2:*"
      Resource  = "*"
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
    }],
  )

  operator_statements = concat(
    [{
      Sid      = "ListTheSecrets"
      Effect   = "Allow"
      Action   = "secretsmanager:ListSecrets"
      Resource = "*" # the action has no resource
    }],
    [{
      Sid      = "AuditTheSecrets" # rotatectl audit examines all of them, and reads no value
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"]
      Resource = local.all_secrets
    }],
    [{
      Sid    = "SeeAndMendTheLabels"
      Effect = "Allow"
      Action = [
        "secretsmanager:ListSecretVersionIds",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:CancelRotateSecret",
      ]
      Resource  = local.all_secrets
      Condition = { StringEquals = local.given_to_function }
    }],
    [{
      Sid       = "Rotate"
      Effect    = "Allow"
      Action    = "secretsmanager:RotateSecret"
      Resource  = local.all_secrets
      Condition = { StringEquals = local.given_to_function, StringEqualsIfExists = { "secretsmanager:RotationLambdaARN" = local.function_arn } }
    }],
    !var.operator_reads_values ? [] : [{
      Sid       = "ReadAndMendTheSecrets"
      Effect    = "Allow"
      Action    = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
      Resource  = local.all_secrets
      Condition = { StringEquals = local.given_to_function }
    }],
    !var.operator_reads_values ? [] : [{
      Sid      = "AskForManyAtOnce"
      Effect   = "Allow"
      Action   = "secretsmanager:BatchGetSecretValue"
      Resource = "*" # the action has no resource
    }],
    !(var.operator_reads_values && local.with_administrators) ? [] : [{
      Sid      = "ReadTheAdministrators"
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      Resource = var.administrator_secret_arns
    }],
    [{
      Sid      = "PromoteAReplica"
      Effect   = "Allow"
      Action   = "secretsmanager:StopReplicationToReplica"
      Resource = replace(local.all_secrets, ":${local.region}:", ":*:")
      Condition = {
        StringEquals = { "secretsmanager:SecretPrimaryRegion" = local.region }
        StringLike   = { "secretsmanager:SecretId" = var.watched_secrets }
      }
    }],
    [{
      Sid      = "FindWhoRead"
      Effect   = "Allow"
      Action   = "cloudtrail:LookupEvents"
      Resource = "*" # the action has no resource
    }],
    [{
      Sid      = "InvokeAndInspectTheFunction"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration", "lambda:GetPolicy"]
      Resource = local.function_arn
    }],
    [{
      Sid      = "ReadTheLog"
      Effect   = "Allow"
      Action   = "logs:FilterLogEvents"
      Resource = "${aws_cloudwatch_log_group.function.arn}:*"
    }],
    !local.with_keys ? [] : [{
      Sid      = "SeeTheKeys"
      Effect   = "Allow"
      Action   = "kms:DescribeKey"
      Resource = var.kms_key_arns
    }],
    !(var.operator_reads_values && local.with_keys) ? [] : [{
      Sid       = "UseTheKeysThroughSecretsManager"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.kms_key_arns
      Condition = { StringEquals = local.through_the_service }
    }],
  )
}

resource "aws_iam_role" "function" {
  name_prefix          = substr(var.function_name, 0, 38)
  permissions_boundary = local.boundary
  description          = "What ${var.function_name} runs as"
  tags                 = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Lambda"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  name   = "rotation"
  role   = aws_iam_role.function.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.function_statements })
}

# For the role of the application: it reads this secret, and nothing else.
resource "aws_iam_policy" "application" {
  for_each    = var.secret_arns
  name_prefix = substr(replace("${var.function_name}-${each.key}", "/[^a-zA-Z0-9+=,.@_-]/", "-"), 0, 100)
  description = "Reads ${each.value}"
  tags        = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadTheSecret"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = each.value
      }],
      !local.with_keys ? [] : [{
        Sid       = "DecryptTheSecret"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.kms_key_arns
        Condition = { StringEquals = merge(local.through_the_service, { "kms:EncryptionContext:SecretARN" = each.value }) }
      }],
    )
  })
}

# For operators, who run rotatectl.
resource "aws_iam_policy" "operator" {
  name_prefix = substr("${var.function_name}-operator", 0, 100)
  description = "Operates the rotation of ${var.function_name} with rotatectl"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.operator_statements })
  tags        = var.tags
}
