# The network: out to the database's port and to Secrets Manager, and nowhere else.

locals {
  makes_endpoint = var.create_secrets_manager_endpoint || var.create_kms_endpoint
  endpoints = merge(
    var.create_secrets_manager_endpoint ? { secretsmanager = "Secrets Manager" } : {},
    var.create_kms_endpoint ? { kms = "KMS" } : {},
  )
  egress = merge(
    var.database_security_group_id == "" ? {} : {
      database = { port = var.database_port, group = var.database_security_group_id, cidr = null }
    },
    var.database_cidr == "" ? {} : {
      database_elsewhere = { port = var.database_port, group = null, cidr = var.database_cidr }
    },
    !var.create_secrets_manager_endpoint ? {} : {
      endpoint = { port = 443, group = aws_security_group.endpoint[0].id, cidr = null }
    },
    var.endpoint_security_group_id == "" ? {} : {
      existing_endpoint = { port = 443, group = var.endpoint_security_group_id, cidr = null }
    },
    var.api_cidr == "" ? {} : {
      apis = { port = 443, group = null, cidr = var.api_cidr }
    },
  )
}

# Terraform takes away the rule that lets everything out, which a new group has.
resource "aws_security_group" "function" {
  count       = local.in_vpc ? 1 : 0
  name_prefix = var.function_name
  description = "${var.function_name}, to the database and to Secrets Manager"
  vpc_id      = var.vpc_id
  tags        = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "function" {
  for_each                     = { for name, rule in local.egress : name => rule if local.in_vpc }
  security_group_id            = aws_security_group.function[0].id
  description                  = replace(each.key, "_", " ")
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.group
  cidr_ipv4                    = each.value.cidr
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  count                        = var.database_security_group_id == "" ? 0 : 1
  security_group_id            = var.database_security_group_id
  description                  = var.function_name
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = aws_security_group.function[0].id
  tags                         = var.tags
}

# It lets the whole VPC in: with private DNS everybody's calls in it go this way, the applications' too.
resource "aws_security_group" "endpoint" {
  count       = local.makes_endpoint ? 1 : 0
  name_prefix = "${var.function_name}-endpoint"
  description = "${var.function_name}, the endpoints"
  vpc_id      = var.vpc_id
  tags        = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  count             = local.makes_endpoint ? 1 : 0
  security_group_id = aws_security_group.endpoint[0].id
  description       = "the VPC"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = var.vpc_cidr
  tags              = var.tags
}

resource "aws_vpc_endpoint" "service" {
  for_each            = local.endpoints
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_id              = var.vpc_id
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint[0].id]
  private_dns_enabled = true
  tags                = var.tags
}
