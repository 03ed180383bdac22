# For an existing secret and database: it rotates every thirty days, from within the database's VPC.
#
#   terraform init
#   terraform apply -var package=secret-rotation-arm64.zip \
#     -var secret_arn=arn:… -var vpc_id=vpc-… -var 'subnet_ids=["subnet-…","subnet-…"]' \
#     -var database_security_group_id=sg-…

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

provider "aws" {}

module "rotation" {
  source      = "../../"
  package     = var.package
  secret_arns = { orders = var.secret_arn }

  administrator_secret_arns = var.administrator_secret_arn == "" ? [] : [var.administrator_secret_arn]

  vpc_id                      = var.vpc_id
  subnet_ids                  = var.subnet_ids
  database_security_group_ids = [var.database_security_group_id]

  # to Secrets Manager: the VPC's existing endpoint, or its NAT gateway
  endpoint_security_group_ids = var.endpoint_security_group_ids
  api_cidr                    = length(var.endpoint_security_group_ids) > 0 ? "" : "0.0.0.0/0"
}
