# A new secret, before its first rotation. The module draws its password; neither the plan nor the state holds it. rotatectl init is
# better, because it makes the role too.

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

  lifecycle {
    # another name would be another secret, and Terraform would delete this one, which applications use
    ignore_changes = [name]
    precondition {
      condition     = try(length(jsondecode(var.secret_document).username) > 0, false)
      error_message = "secret_document is no JSON object with a username. Give one, such as jsonencode({ engine = \"postgres\", host = \"db.internal\", username = \"orders\" })."
    }
    precondition {
      condition     = !can(jsondecode(var.secret_document).password)
      error_message = "secret_document has a password. Leave it out: the module draws one, and a password there would be in your files."
    }
    postcondition {
      condition     = self.name == var.secret_name
      error_message = "The secret is called ${self.name}, and a secret cannot be renamed. Put its name back into secret_name. For another secret, add another module."
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
  secret_string_wo_version = 1 # written once: later the function sets the password

  # Secrets Manager makes a secret's first version AWSCURRENT, regardless of its labels. A later version gets only its labels. So a
  # version that Terraform makes again never replaces the password in use. And a version with a label is not purged.
  version_stages = ["first"]
  lifecycle {
    ignore_changes = [version_stages] # each rotation moves AWSCURRENT and AWSPREVIOUS
  }
}

# Nor the owner: turn the guard off first.
resource "aws_secretsmanager_secret_policy" "guard" {
  count      = var.deletion_guard ? 1 : 0
  secret_arn = aws_secretsmanager_secret.secret.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NobodyDeletesTheSecret"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:DeleteSecret"
      Resource  = "*"
    }]
  })
  block_public_policy = true
}
