# A common case: a VPC, a database's group and a secret in the same configuration. The plan knows no ID yet, nor what a data source finds in
# that VPC.

resource "aws_vpc" "vpc" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "private" {
  count      = 2
  vpc_id     = aws_vpc.vpc.id
  cidr_block = "10.0.${count.index}.0/24"
}

resource "aws_security_group" "database" {
  vpc_id = aws_vpc.vpc.id
}

resource "aws_security_group" "endpoint" {
  vpc_id = aws_vpc.vpc.id
}

resource "aws_secretsmanager_secret" "orders" {
  name = "beside/db"
}

# unknown until apply: texts, numbers, and the length of a list
resource "terraform_data" "later" {
  input = {
    subnets  = aws_subnet.private[*].id
    cidr     = "10.0.9.0/24"
    port     = 6432
    keys     = ["arn:aws:kms:eu-central-1:123456789012:key/1"]
    secrets  = [aws_secretsmanager_secret.orders.arn]
    readers  = ["arn:aws:sts::123456789012:assumed-role/orders/*"]
    service  = "arn:aws:ecs:eu-central-1:123456789012:service/shop/orders"
    schedule = "rate(7 days)"
    path     = "/opt/ca.pem"
  }
}

module "later" {
  source                      = "../../"
  function_name               = "later"
  package                     = "${path.module}/main.tf"
  secret_arns                 = { orders = aws_secretsmanager_secret.orders.arn }
  administrator_secret_arns   = terraform_data.later.output.secrets
  kms_key_arns                = terraform_data.later.output.keys
  schedule_expression         = terraform_data.later.output.schedule
  tls_ca_file                 = terraform_data.later.output.path
  vpc_id                      = aws_vpc.vpc.id
  vpc_cidr                    = terraform_data.later.output.cidr
  subnet_ids                  = terraform_data.later.output.subnets
  database_security_group_ids = [aws_security_group.database.id, aws_security_group.database.id]
  database_cidrs              = [terraform_data.later.output.cidr, terraform_data.later.output.cidr]
  database_ports              = [5432, terraform_data.later.output.port]
  api_cidr                    = terraform_data.later.output.cidr
  dns_cidr                    = terraform_data.later.output.cidr
  create_kms_endpoint         = true
  trail_log_group             = "trail"
  known_readers               = terraform_data.later.output.readers
  restart_ecs_services        = [terraform_data.later.output.service]
  restart_secrets             = terraform_data.later.output.secrets
}

module "rotation" {
  source                      = "../../"
  function_name               = "beside"
  package                     = "${path.module}/main.tf"
  secret_arns                 = { orders = aws_secretsmanager_secret.orders.arn }
  vpc_id                      = aws_vpc.vpc.id
  vpc_cidr                    = aws_vpc.vpc.cidr_block
  subnet_ids                  = aws_subnet.private[*].id
  database_security_group_ids = [aws_security_group.database.id]
  endpoint_security_group_ids = [aws_security_group.endpoint.id]
  create_kms_endpoint         = true
}
