variable "package" {
  description = "The file secret-rotation-arm64.zip from a release."
  type        = string
}

variable "database_host" {
  description = "The writer's endpoint."
  type        = string
}

variable "vpc_id" {
  description = "The database's VPC."
  type        = string
}

variable "vpc_cidr" {
  description = "The VPC's addresses."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two zones or more."
  type        = list(string)
}

variable "database_security_group_id" {
  description = "The database's security group."
  type        = string
}

variable "kms_key_arn" {
  description = "The customer's key, if you have one."
  type        = string
  default     = ""
}

variable "replica_regions" {
  description = "Regions that have a copy of the secret."
  type        = list(string)
  default     = []
}

variable "alarm_email" {
  description = "Who gets the alarms."
  type        = string
  default     = ""
}
