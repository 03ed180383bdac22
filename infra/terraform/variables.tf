# The parameters of infra/sam/template.yaml, by the same names and with the same defaults; at the end
# the two that SAM has from elsewhere.

variable "function_name" {
  type    = string
  default = "secret-rotation"
}

variable "secret_arns" {
  description = "Full ARNs of the secrets to rotate, with the six characters that the service appended, each by a name of your choice."
  type        = map(string)
  validation {
    condition     = length(var.secret_arns) > 0
    error_message = "Name one secret or more."
  }
}

variable "administrator_secret_arns" {
  description = "Full ARNs of the secrets that masterarn names, which the function only reads."
  type        = list(string)
  default     = []
}

variable "kms_key_arns" {
  description = "The customer's keys under which these secrets stand; none for aws/secretsmanager."
  type        = list(string)
  default     = []
}

variable "schedule_expression" {
  description = "When each secret rotates, rate() or cron()."
  type        = string
  default     = "rate(30 days)"
}

variable "schedule_window" {
  description = "How long after that time a rotation may begin, such as 3h; none for Secrets Manager's own choice."
  type        = string
  default     = ""
}

variable "rotate_immediately" {
  description = "Whether a deployment rotates too. If not, Secrets Manager runs testSecret and changes nothing."
  type        = bool
  default     = false
}

variable "memory_size" {
  type    = number
  default = 256
}

variable "timeout" {
  description = "Seconds for one step."
  type        = number
  default     = 60
}

variable "reserved_concurrency" {
  description = "Executions kept for the function, and its limit; -1 for the account's. Rotations beyond it are throttled."
  type        = number
  default     = -1
}

variable "log_retention_days" {
  type    = number
  default = 365
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "log_level" {
  type    = string
  default = "INFO"
  validation {
    condition     = contains(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"], var.log_level)
    error_message = "One of ERROR, WARN, INFO, DEBUG, TRACE."
  }
}

variable "overlap_window" {
  description = "How long the old one of two users logs in after a rotation."
  type        = string
  default     = "24h"
}

variable "password_length" {
  type    = number
  default = 32
}

variable "exclude_characters" {
  type    = string
  default = ":/@\"'\\"
}

variable "password_characters" {
  description = "url-safe for passwords that stand in a URL as they are."
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "url-safe"], var.password_characters)
    error_message = "url-safe, or empty."
  }
}

variable "password_hashing" {
  description = "keep leaves md5 where the server keeps a password so; server for servers that refuse a verifier."
  type        = string
  default     = "keep"
  validation {
    condition     = contains(["keep", "scram", "server"], var.password_hashing)
    error_message = "One of keep, scram, server."
  }
}

variable "administrator_channel_binding" {
  description = "prefer where the administrator's login cannot be bound to its TLS connection."
  type        = string
  default     = "require"
  validation {
    condition     = contains(["require", "prefer"], var.administrator_channel_binding)
    error_message = "One of require, prefer."
  }
}

variable "pooler_asks_server" {
  description = "Whether a pooler before the database asks it for passwords."
  type        = bool
  default     = false
}

variable "verify_sql" {
  description = "What testSecret runs as the new credential, read only."
  type        = string
  default     = ""
}

variable "allowed_hosts" {
  description = "Hosts, separated by commas, whose API keys the function may rotate; private:HOST for one whose address is not public."
  type        = string
  default     = ""
}

variable "vpc_id" {
  description = "The VPC in which the database is; none for a function outside of any VPC."
  type        = string
  default     = ""
  validation {
    condition     = var.vpc_id == "" || var.create_secrets_manager_endpoint || var.endpoint_security_group_id != "" || var.api_cidr != ""
    error_message = "With vpc_id goes create_secrets_manager_endpoint, endpoint_security_group_id, or api_cidr and a NAT gateway: without one of them the function has no way to Secrets Manager."
  }
  validation {
    condition     = var.vpc_id != "" || !(var.create_secrets_manager_endpoint || var.create_kms_endpoint)
    error_message = "The endpoints want vpc_id."
  }
}

variable "vpc_cidr" {
  description = "The VPC's addresses, which an endpoint made here lets in."
  type        = string
  default     = ""
  validation {
    condition     = var.vpc_cidr != "" || !(var.create_secrets_manager_endpoint || var.create_kms_endpoint)
    error_message = "With an endpoint goes vpc_cidr: without it the endpoint lets nobody in."
  }
}

variable "subnet_ids" {
  description = "Private subnets of two zones or more."
  type        = list(string)
  default     = []
}

variable "database_security_group_id" {
  description = "The database's security group. It is given one rule, that lets the function in."
  type        = string
  default     = ""
  validation {
    condition     = var.vpc_id == "" ? var.database_security_group_id == "" : var.database_security_group_id != "" || var.database_cidr != ""
    error_message = "With vpc_id goes database_security_group_id or database_cidr: without one the function has no way to the database."
  }
}

variable "database_cidr" {
  description = "In its place, the addresses of a database in another account, region or house, which lets the function in itself."
  type        = string
  default     = ""
}

variable "database_port" {
  type    = number
  default = 5432
}

variable "create_secrets_manager_endpoint" {
  description = "Whether the VPC is given an interface endpoint for Secrets Manager. There can be one with private DNS."
  type        = bool
  default     = false
}

variable "create_kms_endpoint" {
  description = "The same for KMS. The function does not need it, Secrets Manager uses the key; your applications may."
  type        = bool
  default     = false
}

variable "endpoint_security_group_id" {
  description = "The security group of the Secrets Manager endpoint that the VPC has already."
  type        = string
  default     = ""
}

variable "api_cidr" {
  description = "Addresses to which HTTPS is let out, for API keys (AllowedHosts) or for a NAT gateway's way to Secrets Manager."
  type        = string
  default     = ""
}

variable "alarm_email" {
  description = "Who is told. Others subscribe to the topic."
  type        = string
  default     = ""
}

variable "maximum_age_days" {
  description = "An alarm when a secret is older than this, whatever its schedule; 0 for none."
  type        = number
  default     = 0
}

variable "trail_log_group" {
  description = "The log group of a CloudTrail trail, for the alarm on readers who are not known; none for no such alarm."
  type        = string
  default     = ""
}

variable "known_readers" {
  description = "Who may read, as userIdentity.arn in CloudTrail, such as arn:aws:sts::123456789012:assumed-role/orders/*."
  type        = list(string)
  default     = []
}

variable "watched_secrets" {
  description = "Names or ARNs that this alarm looks at, such as *orders/*. Callers name a secret by either."
  type        = string
  default     = "*"
}

variable "restart_ecs_services" {
  description = "ARNs of the ECS services that read their secret only at start. Each is restarted when a secret has rotated."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.restart_ecs_services : can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:service/[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}$", arn))])
    error_message = "ARNs of ECS services with the cluster in them, arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE."
  }
}

variable "restart_secrets" {
  description = "The secrets among secret_arns that these services read; none for all of them."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.restart_secrets : contains(values(var.secret_arns), arn)])
    error_message = "restart_secrets names a secret that is not in secret_arns: nothing would be restarted for it."
  }
  validation {
    condition     = length(var.restart_secrets) == 0 || length(var.restart_ecs_services) > 0
    error_message = "With restart_secrets goes restart_ecs_services, the services to restart."
  }
}

variable "operator_reads_values" {
  description = "Whether the operator's policy reads and mends values. doctor and compromised log in with them."
  type        = bool
  default     = true
}

variable "package" {
  description = "The function's package: bootstrap.zip for arm64, which `make build` makes."
  type        = string
}

variable "tags" {
  description = "For all that takes tags."
  type        = map(string)
  default     = {}
}
