# terraform test: what the module plans and what it refuses, without AWS.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  package     = "versions.tf" # any file: nothing runs it
  secret_arns = { orders = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf" }
}

run "a_secret_is_the_only_required_variable" {
  command = plan
  assert {
    condition     = aws_secretsmanager_secret_rotation.secret["orders"].rotate_immediately == false
    error_message = "A deployment rotated."
  }
  assert {
    condition     = length(aws_security_group.function) == 0
    error_message = "There is a security group without a VPC."
  }
}

run "resources_of_the_same_plan_need_not_exist_yet" {
  command = plan
  module {
    source = "./tests/beside"
  }
}

run "a_name_in_place_of_an_arn_is_refused" {
  command = plan
  variables {
    secret_arns = { orders = "orders/db" }
  }
  expect_failures = [var.secret_arns]
}

run "a_secret_that_is_named_twice_is_refused" {
  command = plan
  variables {
    secret_arns = {
      orders = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf"
      stock  = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf"
    }
  }
  expect_failures = [var.secret_arns]
}

run "a_fraction_in_place_of_a_whole_number_is_refused" {
  command = plan
  variables {
    memory_size          = 256.5
    timeout              = 60.5
    password_length      = 20.5
    reserved_concurrency = 1.5
    maximum_age_days     = 0.5
  }
  expect_failures = [var.memory_size, var.timeout, var.password_length, var.reserved_concurrency, var.maximum_age_days]
}

run "a_package_that_was_not_built_is_refused" {
  command = plan
  variables {
    package = "bootstrap.zip"
  }
  expect_failures = [var.package]
}

run "null_is_the_default" {
  command = plan
  variables {
    vpc_id              = null
    subnet_ids          = null
    database_ports      = null
    schedule_expression = null
    known_readers       = null
    alarm_email         = null
    function_name       = null
    tags                = null
  }
  assert {
    condition     = aws_lambda_function.function.function_name == "secret-rotation"
    error_message = "null is not the default."
  }
}

run "an_alias_in_place_of_a_key_is_refused" {
  command = plan
  variables {
    kms_key_arns = ["alias/orders"]
  }
  expect_failures = [var.kms_key_arns]
}

run "a_vpc_without_its_subnets_is_refused" {
  command = plan
  variables {
    vpc_id                      = "vpc-0123456789abcdef0"
    database_security_group_ids = ["sg-0123456789abcdef0"]
    api_cidr                    = "0.0.0.0/0"
  }
  expect_failures = [var.vpc_id]
}

run "another_database_is_one_more_rule" {
  command = plan
  variables {
    vpc_id                      = "vpc-0123456789abcdef0"
    subnet_ids                  = ["subnet-0123456789abcdef0"]
    database_security_group_ids = ["sg-0123456789abcdef0", "sg-0123456789abcdef1"]
    database_ports              = [5432, 6432]
    api_cidr                    = "0.0.0.0/0"
  }
  assert {
    condition     = [for rule in values(aws_vpc_security_group_ingress_rule.database) : rule.from_port] == [5432, 6432]
    error_message = "Each group has its own port."
  }
}
