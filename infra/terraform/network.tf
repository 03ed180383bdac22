# The function reaches the databases' ports and Secrets Manager, and nothing else.

locals {
  makes_endpoint = var.create_secrets_manager_endpoint || var.create_kms_endpoint
  endpoints = merge(
    var.create_secrets_manager_endpoint ? { secretsmanager = "Secrets Manager" } : {},
    var.create_kms_endpoint ? { kms = "KMS" } : {},
  )
  # by number, because a group of the same configuration has no ID yet
  port_of         = [for index in range(max(length(var.database_security_group_ids), length(var.database_cidrs))) : var.database_ports[length(var.database_ports) == 1 ? 0 : index]]
  database_groups = { for index, group in var.database_security_group_ids : "database_${index + 1}" => { group = group, port = local.port_of[index] } }
  egress = concat(
    [for index, group in var.database_security_group_ids : { protocol = "tcp", port = local.port_of[index], groups = [group], cidrs = [], description = "a database" }],
    [for index, cidr in var.database_cidrs : { protocol = "tcp", port = local.port_of[index], groups = [], cidrs = [cidr], description = "a database elsewhere" }],
    [for group in aws_security_group.endpoint[*].id : { protocol = "tcp", port = 443, groups = [group], cidrs = [], description = "the endpoint of Secrets Manager" } if var.create_secrets_manager_endpoint],
    [for group in var.endpoint_security_group_ids : { protocol = "tcp", port = 443, groups = [group], cidrs = [], description = "the endpoint that the VPC has" }],
    [for cidr in compact([var.api_cidr]) : { protocol = "tcp", port = 443, groups = [], cidrs = [cidr], description = "APIs whose keys rotate" }],
    [for cidr in compact([var.dns_cidr]) : { protocol = "udp", port = 53, groups = [], cidrs = [cidr], description = "DNS servers of the VPC" }],
    [for cidr in compact([var.dns_cidr]) : { protocol = "tcp", port = 53, groups = [], cidrs = [cidr], description = "DNS servers of the VPC, long answers" }],
  )
}

# The rules are inside the group: the plan would have to know a separate rule, and may not know resources of the same configuration.
# They replace a new group's default rule, which allows everything out.
resource "aws_security_group" "function" {
  count       = local.in_vpc ? 1 : 0
  name_prefix = var.function_name
  description = "${var.function_name}, to the databases and to Secrets Manager"
  vpc_id      = var.vpc_id
  tags        = var.tags

  # one value and no blocks: the plan would have to know the number of blocks
  egress = [for rule in local.egress : {
    description      = rule.description
    protocol         = rule.protocol
    from_port        = rule.port
    to_port          = rule.port
    security_groups  = rule.groups
    cidr_blocks      = rule.cidrs
    ipv6_cidr_blocks = []
    prefix_list_ids  = []
    self             = false
  }]

  lifecycle {
    create_before_destroy = true
  }
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

# The whole VPC may use it: with private DNS every call in the VPC goes to it, the applications' too.
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
