# A new secret, before its first rotation. Its password is made here, and neither the plan nor the state holds it.

terraform {
  required_version = ">= 1.11" # what is written and never read back
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

resource "aws_secretsmanager_secret" "secret" {
  name        = var.secret_name
  description = "Rotated by secret-rotation"
  kms_key_id  = var.kms_key_arn == "" ? null : var.kms_key_arn
  tags        = var.tags

  dynamic "replica" {
    for_each = toset(var.replica_regions)
    content {
      region = replica.value
    }
  }
}

ephemeral "aws_secretsmanager_random_password" "first" {
  password_length            = 32
  exclude_characters         = ":/@\"'\\"
  require_each_included_type = true
}

resource "aws_secretsmanager_secret_version" "first" {
  secret_id = aws_secretsmanager_secret.secret.id
  secret_string_wo = jsonencode(merge(
    jsondecode(var.secret_document),
    { password = ephemeral.aws_secretsmanager_random_password.first.random_password },
  ))
  secret_string_wo_version = 1 # written once: from here on the password is the function's
}
