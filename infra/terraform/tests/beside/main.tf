# What many have: a VPC, a database's group and a secret made in the same configuration, so that no ID is known to the plan.

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
  name = "orders/db"
}

module "rotation" {
  source                      = "../../"
  package                     = "${path.module}/main.tf"
  secret_arns                 = { orders = aws_secretsmanager_secret.orders.arn }
  vpc_id                      = aws_vpc.vpc.id
  vpc_cidr                    = aws_vpc.vpc.cidr_block
  subnet_ids                  = aws_subnet.private[*].id
  database_security_group_ids = [aws_security_group.database.id]
  endpoint_security_group_ids = [aws_security_group.endpoint.id]
  create_kms_endpoint         = true
}
