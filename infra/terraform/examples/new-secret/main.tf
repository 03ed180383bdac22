# One new secret, rotated every thirty days in a window of three hours, from within the database's VPC.
#
#   terraform init
#   terraform apply -var package=secret-rotation-arm64.zip \
#     -var vpc_id=vpc-… -var vpc_cidr=10.0.0.0/16 -var 'subnet_ids=["subnet-…","subnet-…"]' \
#     -var database_security_group_id=sg-… -var database_host=orders.….rds.amazonaws.com

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

module "orders" {
  source          = "../../modules/secret"
  secret_name     = "orders-example/db"
  secret_document = jsonencode({ engine = "postgres", host = var.database_host, dbname = "orders", username = "orders" })
  kms_key_arn     = var.kms_key_arn
  replica_regions = var.replica_regions
}

module "rotation" {
  source          = "../../"
  package         = var.package
  secret_arns     = { orders = module.orders.secret_arn }
  kms_key_arns    = var.kms_key_arn == "" ? [] : [var.kms_key_arn]
  schedule_window = "3h"

  vpc_id                          = var.vpc_id
  vpc_cidr                        = var.vpc_cidr
  subnet_ids                      = var.subnet_ids
  database_security_group_ids     = [var.database_security_group_id]
  create_secrets_manager_endpoint = true

  alarm_email = var.alarm_email
}
