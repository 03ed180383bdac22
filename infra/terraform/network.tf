# The network: out to the databases' ports and to Secrets Manager, and nowhere else.

locals {
  makes_endpoint = var.create_secrets_manager_endpoint || var.create_kms_endpoint
  endpoints = merge(
    var.create_secrets_manager_endpoint ? { secretsmanager = "Secrets Manager" } : {},
    var.create_kms_endpoint ? { kms = "KMS" } : {},
  )
  # one port for all, or one for each, in the same order; by number, for a group that is made beside this has no ID yet
  ports              = [for index in range(max(length(var.database_security_group_ids), length(var.database_cidrs))) : try(var.database_ports[index], var.database_ports[0])]
  database_groups    = { for index, group in var.database_security_group_ids : "database_${index + 1}" => { group = group, port = local.ports[index] } }
  database_addresses = { for index, cidr in var.database_cidrs : "database_elsewhere_${index + 1}" => { cidr = cidr, port = local.ports[index] } }
  egress = merge(
    { for name, way in local.database_groups : name => { protocol = "tcp", port = way.port, group = way.group, cidr = null, description = "a database" } },
    { for name, way in local.database_addresses : name => { protocol = "tcp", port = way.port, group = null, cidr = way.cidr, description = "a database elsewhere" } },
    !var.create_secrets_manager_endpoint ? {} : {
      endpoint = { protocol = "tcp", port = 443, group = aws_security_group.endpoint[0].id, cidr = null, description = "the endpoint of Secrets Manager" }
    },
    { for index, group in var.endpoint_security_group_ids : "existing_endpoint_${index + 1}" => {
      protocol = "tcp", port = 443, group = group, cidr = null, description = "the endpoint that the VPC has"
    } },
    var.api_cidr == "" ? {} : {
      apis = { protocol = "tcp", port = 443, group = null, cidr = var.api_cidr, description = "APIs whose keys rotate" }
    },
    var.dns_cidr == "" ? {} : {
      dns      = { protocol = "udp", port = 53, group = null, cidr = var.dns_cidr, description = "the VPC's own DNS servers" }
      dns_long = { protocol = "tcp", port = 53, group = null, cidr = var.dns_cidr, description = "the VPC's own DNS servers, long answers" }
    },
  )
}

# Terraform takes away the rule that lets everything out, which a new group has.
resource "aws_security_group" "function" {
  count       = local.in_vpc ? 1 : 0
  name_prefix = var.function_name
  description = "${var.function_name}, to the databases and to Secrets Manager"
  vpc_id      = var.vpc_id
  tags        = var.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "function" {
  for_each                     = { for name, rule in local.egress : name => rule if local.in_vpc }
  security_group_id            = aws_security_group.function[0].id
  description                  = each.value.description
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.group
  cidr_ipv4                    = each.value.cidr
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = local.database_groups
  security_group_id            = each.value.group
  description                  = var.function_name
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.function[0].id
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "existing_endpoint" {
  count                        = length(var.endpoint_security_group_ids)
  security_group_id            = var.endpoint_security_group_ids[count.index]
  description                  = var.function_name
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
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
