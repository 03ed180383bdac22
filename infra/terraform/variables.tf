# The parameters of infra/sam/template.yaml, with the same names, defaults and bounds. Two others are at the end: the package, which the
# template takes from a bucket and this module from a file, and the tags.

variable "function_name" {
  description = "The function's name, also used for the log group, the alarms and the dashboard. 54 characters at most."
  type        = string
  default     = "secret-rotation"
  nullable    = false
  validation {
    condition     = can(regex("^([a-zA-Z0-9-_]{1,54})$", var.function_name))
    error_message = "Letters, digits, - and _, 54 at most; the names of the EventBridge rules add ten, and 64 is their limit."
  }
}

variable "secret_arns" {
  description = "Full ARNs of the secrets to rotate, with the six characters that the service appended, each under a name of your choice."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(var.secret_arns) > 0
    error_message = "Name one secret or more."
  }
  validation {
    condition     = alltrue([for item in values(var.secret_arns) : can(regex("^(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6})$", item))])
    error_message = "Full ARNs, not names, with the six characters that the service appended."
  }
  validation {
    condition     = length(distinct(values(var.secret_arns))) == length(var.secret_arns)
    error_message = "Name each secret once."
  }
}

variable "administrator_secret_arns" {
  description = "Full ARNs of the secrets that masterarn names. The function only reads these."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.administrator_secret_arns : can(regex("^(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6})$", item))])
    error_message = "Full ARNs, not names, with the six characters that the service appended."
  }
}

variable "kms_key_arns" {
  description = "The customer's keys of these secrets; empty for aws/secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.kms_key_arns : can(regex("^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+)$", item))])
    error_message = "ARNs of keys, not aliases; IAM does not know the key behind an alias."
  }
}

variable "schedule_expression" {
  description = "When each secret rotates, in UTC, such as rate(30 days) or cron(0 3 ? * SUN *). At most once in four hours."
  type        = string
  default     = "rate(30 days)"
  nullable    = false
  validation {
    condition     = can(regex("^(rate\\((([4-9]|[1-9][0-9]{1,2}) hours|1 day|([2-9]|[1-9][0-9]{1,2}) days)\\)|cron\\(0 ((1?[0-9]|2[0-3])|(1?[0-9]|2[0-3])?/([4-9]|1[0-9]|2[0-3])) ((\\*|L|([1-9]|[12][0-9]|3[01])([-/,]([1-9]|[12][0-9]|3[01]))*) (\\*|([1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)([-/,]([1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC))*) \\?|\\? (\\*|([1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)([-/,]([1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC))*) (\\*|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])?([-/,]([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])?)*)) \\*\\))$", var.schedule_expression))
    error_message = "Give rate(4 hours) to rate(999 hours), rate(1 day) to rate(999 days), or cron(0 HOURS DAY MONTH WEEKDAY *) such as cron(0 3 ? * SUN *); one of DAY and WEEKDAY is a ?, and HOURS is one hour, or 8/12 for every twelve hours from 8:00, four hours at least."
  }
}

variable "schedule_window" {
  description = "How long after that time a rotation may begin, such as 3h, within the same UTC day and before the next rotation; empty for Secrets Manager's own choice."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.schedule_window == "" || can(regex("^(([1-9]|1[0-9]|2[0-4])h)$", var.schedule_window))
    error_message = "Whole hours from 1h to 24h, such as 3h."
  }
}

variable "rotate_immediately" {
  description = "Whether a deployment rotates too. If not, Secrets Manager runs testSecret and changes nothing."
  type        = bool
  default     = false
  nullable    = false
}

variable "memory_size" {
  description = "Memory in MB."
  type        = number
  default     = 256
  nullable    = false
  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "A whole number from 128 to 10240."
  }
}

variable "timeout" {
  description = "Seconds for one step."
  type        = number
  default     = 60
  nullable    = false
  validation {
    condition     = var.timeout >= 10 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "A whole number from 10 to 900."
  }
}

variable "reserved_concurrency" {
  description = "Executions reserved for the function, which is also its limit; -1 for the account's limit. Lambda throttles rotations above it."
  type        = number
  default     = -1
  nullable    = false
  validation {
    condition     = var.reserved_concurrency >= -1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "A whole number, -1 or more."
  }
}

variable "log_retention_days" {
  description = "Days that the log is kept."
  type        = number
  default     = 365
  nullable    = false
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "log_level" {
  description = "The least severe level that is logged."
  type        = string
  default     = "INFO"
  nullable    = false
  validation {
    condition     = contains(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"], var.log_level)
    error_message = "One of ERROR, WARN, INFO, DEBUG, TRACE."
  }
}

variable "overlap_window" {
  description = "How long the old one of two users can log in after a rotation."
  type        = string
  default     = "24h"
  nullable    = false
  validation {
    condition     = var.overlap_window == "" || can(regex("^(unbounded|([0-9]+ ?[A-Za-z]+ ?)+)$", var.overlap_window))
    error_message = "A time such as 24h, or unbounded."
  }
}

variable "password_length" {
  description = "Characters in a new password."
  type        = number
  default     = 32
  nullable    = false
  validation {
    condition     = var.password_length >= 16 && var.password_length <= 1024 && floor(var.password_length) == var.password_length
    error_message = "A whole number from 16 to 1024."
  }
}

variable "exclude_characters" {
  description = "Characters that no password has."
  type        = string
  default     = "\\:/@\"'"
  nullable    = false
}

variable "exclude_numbers" {
  description = "Whether passwords have no digits."
  type        = bool
  default     = false
  nullable    = false
}

variable "exclude_punctuation" {
  description = "Whether passwords have no punctuation."
  type        = bool
  default     = false
  nullable    = false
}

variable "exclude_uppercase" {
  description = "Whether passwords have no capital letters."
  type        = bool
  default     = false
  nullable    = false
}

variable "exclude_lowercase" {
  description = "Whether passwords have no small letters."
  type        = bool
  default     = false
  nullable    = false
}

variable "require_each_included_type" {
  description = "Whether each password has at least one character of every kind that is not excluded."
  type        = bool
  default     = true
  nullable    = false
}

variable "password_characters" {
  description = "url-safe for passwords that need no escaping in a URL."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = contains(["", "url-safe"], var.password_characters)
    error_message = "url-safe, or empty."
  }
}

variable "password_hashing" {
  description = "keep sends md5 if the server stores the password as md5; scram always SCRAM; server the password itself, for servers that refuse a verifier."
  type        = string
  default     = "keep"
  nullable    = false
  validation {
    condition     = contains(["keep", "scram", "server"], var.password_hashing)
    error_message = "One of keep, scram, server."
  }
}

variable "administrator_channel_binding" {
  description = "prefer if the administrator's login cannot be bound to its TLS connection."
  type        = string
  default     = "require"
  nullable    = false
  validation {
    condition     = contains(["require", "prefer"], var.administrator_channel_binding)
    error_message = "One of require, prefer."
  }
}

variable "pooler_asks_server" {
  description = "Whether a pooler in front of the database asks the database for passwords."
  type        = bool
  default     = false
  nullable    = false
}

variable "verify_sql" {
  description = "A statement that testSecret runs as the new credential, read only."
  type        = string
  default     = ""
  nullable    = false
}

variable "allowed_hosts" {
  description = "Hosts, separated by commas, whose API keys the function may rotate; private:HOST for a host whose address is not public."
  type        = string
  default     = ""
  nullable    = false
}

variable "tls_ca_file" {
  description = "PEM file of roots to trust for databases, in addition to RDS's and the public ones; /opt/NAME is in a layer."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.tls_ca_file == "" || can(regex("^(/.+)$", var.tls_ca_file))
    error_message = "The path in the function, such as /opt/ca.pem for a file in a layer."
  }
}

variable "aws_ca_bundle" {
  description = "PEM file of roots to trust for Secrets Manager, in place of Amazon's; /opt/NAME is in a layer."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.aws_ca_bundle == "" || can(regex("^(/.+)$", var.aws_ca_bundle))
    error_message = "The path in the function, such as /opt/ca.pem for a file in a layer."
  }
}

variable "layer_arns" {
  description = "Layers that hold these files; five at most."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.layer_arns : can(regex("^(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[^:]+:[0-9]+)$", item))])
    error_message = "ARNs of layers, each with its version at the end."
  }
  validation {
    condition     = length(var.layer_arns) <= 5
    error_message = "Five layers at most."
  }
}

variable "secrets_manager_url" {
  description = "Another address of Secrets Manager, such as an endpoint's own name; empty for the region's."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.secrets_manager_url == "" || can(regex("^(https://.+)$", var.secrets_manager_url))
    error_message = "An address that begins with https://."
  }
}

variable "permissions_boundary_arn" {
  description = "The permissions boundary of each role, if the account requires one."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.permissions_boundary_arn == "" || can(regex("^(arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+)$", var.permissions_boundary_arn))
    error_message = "The ARN of a managed policy."
  }
}

variable "vpc_id" {
  description = "The VPC of the database; empty for a function outside any VPC."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.vpc_id == "" || can(regex("^(vpc-[0-9a-f]+)$", var.vpc_id))
    error_message = "The ID of a VPC, vpc-…."
  }
  validation {
    condition     = var.vpc_id == "" || length(var.subnet_ids) > 0
    error_message = "vpc_id needs subnet_ids: they put the function into the VPC."
  }
  validation {
    condition     = var.vpc_id == "" || length(var.database_security_group_ids) > 0 || length(var.database_cidrs) > 0
    error_message = "vpc_id needs database_security_group_ids or database_cidrs: otherwise the function cannot reach the database."
  }
  validation {
    condition     = var.vpc_id == "" || var.create_secrets_manager_endpoint || length(var.endpoint_security_group_ids) > 0 || var.api_cidr != ""
    error_message = "vpc_id needs create_secrets_manager_endpoint, endpoint_security_group_ids, or api_cidr and a NAT gateway: otherwise the function cannot reach Secrets Manager."
  }
  validation {
    condition = var.vpc_id != "" || alltrue([
      length(var.subnet_ids) == 0,
      length(var.database_security_group_ids) == 0,
      length(var.database_cidrs) == 0,
      var.database_ports == tolist([5432]), # the default
      var.dns_cidr == "",
      var.api_cidr == "",
      length(var.endpoint_security_group_ids) == 0,
      !var.create_secrets_manager_endpoint,
      !var.create_kms_endpoint,
    ])
    error_message = "subnet_ids, database_security_group_ids, database_cidrs, database_ports, dns_cidr, api_cidr and the endpoints need vpc_id: without it they have no effect."
  }
}

variable "vpc_cidr" {
  description = "The VPC's addresses, which may use a new endpoint. Only with such an endpoint."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.vpc_cidr == "" || can(regex("^(((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})/(3[0-2]|[12]?[0-9]))$", var.vpc_cidr))
    error_message = "IPv4 addresses such as 10.0.0.0/16."
  }
  validation {
    condition     = var.vpc_cidr != "" || !(var.create_secrets_manager_endpoint || var.create_kms_endpoint)
    error_message = "An endpoint needs vpc_cidr: otherwise it admits no one."
  }
  validation {
    condition     = var.vpc_cidr == "" || var.create_secrets_manager_endpoint || var.create_kms_endpoint
    error_message = "vpc_cidr needs create_secrets_manager_endpoint or create_kms_endpoint: it says which addresses may use such an endpoint."
  }
}

variable "subnet_ids" {
  description = "Private subnets in two zones or more."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.subnet_ids : can(regex("^(subnet-[0-9a-f]+)$", item))])
    error_message = "IDs of subnets, subnet-…."
  }
}

variable "database_security_group_ids" {
  description = "Security groups of the databases. Each gets one rule that admits the function. List a group with two ports twice. List them one by one, because the plan has to know how many there are."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.database_security_group_ids : can(regex("^(sg-[0-9a-f]+)$", item))])
    error_message = "IDs of security groups, sg-…."
  }
}

variable "database_cidrs" {
  description = "In place of security groups, the addresses of databases in another account, region or network, whose owner admits the function. List them one by one, because the plan has to know how many there are."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.database_cidrs : can(regex("^(((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})/(3[0-2]|[12]?[0-9]))$", item))])
    error_message = "IPv4 addresses such as 192.0.2.0/24."
  }
}

variable "database_ports" {
  description = "One port for all of these, or one for each, in the same order. If you give groups and addresses, give as many ports as groups and as many as addresses."
  type        = list(number)
  default     = [5432]
  nullable    = false
  validation {
    condition     = alltrue([for port in var.database_ports : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "Whole numbers from 1 to 65535."
  }
  validation {
    condition     = length(var.database_ports) == 1 || length(var.database_ports) > 0 && alltrue([for count in [length(var.database_security_group_ids), length(var.database_cidrs)] : count == 0 || count == length(var.database_ports)])
    error_message = "One port for all databases, or one for each: as many as database_security_group_ids, and as many as database_cidrs."
  }
}

variable "dns_cidr" {
  description = "The VPC's own DNS servers, if it does not use Amazon's."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.dns_cidr == "" || can(regex("^(((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})/(3[0-2]|[12]?[0-9]))$", var.dns_cidr))
    error_message = "IPv4 addresses such as 10.0.0.0/24."
  }
}

variable "create_secrets_manager_endpoint" {
  description = "Whether to make an interface endpoint for Secrets Manager in the VPC. Only one can have private DNS."
  type        = bool
  default     = false
  nullable    = false
}

variable "create_kms_endpoint" {
  description = "The same for KMS. The function does not need it, because Secrets Manager uses the key. Your applications may need it."
  type        = bool
  default     = false
  nullable    = false
}

variable "endpoint_security_group_ids" {
  description = "One security group of the VPC's existing Secrets Manager endpoint. It gets one rule that admits the function. List them one by one, because the plan has to know how many there are."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.endpoint_security_group_ids : can(regex("^(sg-[0-9a-f]+)$", item))])
    error_message = "The ID of a security group, sg-…"
  }
}

variable "api_cidr" {
  description = "Addresses that the function may reach over HTTPS, for API keys (allowed_hosts) or for Secrets Manager through a NAT gateway."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.api_cidr == "" || can(regex("^(((25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})/(3[0-2]|[12]?[0-9]))$", var.api_cidr))
    error_message = "IPv4 addresses such as 0.0.0.0/0."
  }
}

variable "alarm_email" {
  description = "Who gets the alarms. Others subscribe to the topic. The plan has to know it."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.alarm_email == "" || can(regex("^([^@\\s]+@[^@\\s]+)$", var.alarm_email))
    error_message = "An address such as oncall@example.com."
  }
}

variable "maximum_age_days" {
  description = "An alarm when a secret is older than this, regardless of its schedule; 0 for none."
  type        = number
  default     = 0
  nullable    = false
  validation {
    condition     = var.maximum_age_days >= 0 && floor(var.maximum_age_days) == var.maximum_age_days
    error_message = "A whole number, 0 or more."
  }
}

variable "trail_log_group" {
  description = "The log group of a CloudTrail trail, for the alarm on unknown readers; empty for no such alarm. The plan has to know its name. Give the log group a name, not a prefix."
  type        = string
  default     = ""
  nullable    = false
}

variable "known_readers" {
  description = "Principals that may read, as userIdentity.arn in CloudTrail, such as arn:aws:sts::123456789012:assumed-role/orders/*. Only with trail_log_group."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.known_readers : can(regex("^([^\"\\\\]+)$", item))])
    error_message = "ARNs as CloudTrail has them, without quotes and backslashes."
  }
  validation {
    condition     = length(var.known_readers) == 0 || var.trail_log_group != ""
    error_message = "known_readers needs trail_log_group: otherwise no alarm looks for readers."
  }
}

variable "watched_secrets" {
  description = "Names and ARNs of the secrets whose failed rotations and unknown readers raise an alarm, and whose replicas operators may promote, such as *orders/*."
  type        = string
  default     = "*"
  nullable    = false
  validation {
    condition     = can(regex("^(\\*([A-Za-z0-9/_+=.@:!-]+\\*)*[A-Za-z0-9/_+=.@:!-]*)$", var.watched_secrets))
    error_message = "A pattern that begins with *, has no two * side by side, and otherwise only characters of names and ARNs."
  }
}

variable "restart_ecs_services" {
  description = "ARNs of the ECS services that read their secret only at start. Each restarts when a secret has rotated. List them one by one, because the plan has to know how many there are."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for arn in var.restart_ecs_services : can(regex("^arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:service/[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}$", arn))])
    error_message = "ARNs of ECS services with the cluster in them, arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/SERVICE."
  }
}

variable "restart_secrets" {
  description = "Full ARNs of the secrets that these services read; empty for all that watched_secrets names."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.restart_secrets : can(regex("^(arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6})$", item))])
    error_message = "Full ARNs, not names, with the six characters that the service appended."
  }
  validation {
    condition     = length(var.restart_secrets) == 0 || length(var.restart_ecs_services) > 0
    error_message = "restart_secrets needs restart_ecs_services, the services to restart."
  }
}

variable "operator_reads_values" {
  description = "Whether the operator's policy reads and mends values. doctor and compromised log in with them."
  type        = bool
  default     = true
  nullable    = false
}

variable "package" {
  description = "The function's package: the file secret-rotation-arm64.zip of a release, or of `make build ARCH=arm64`."
  type        = string
  nullable    = false
  validation {
    condition     = fileexists(var.package)
    error_message = "There is no such file. Take secret-rotation-arm64.zip from a release, or build it with `make build ARCH=arm64`, and give its path."
  }
}

variable "tags" {
  description = "Tags for every resource that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
