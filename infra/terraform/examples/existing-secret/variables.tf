variable "package" {
  description = "The file secret-rotation-arm64.zip from a release."
  type        = string
}

variable "secret_arn" {
  description = "The secret's full ARN."
  type        = string
}

variable "administrator_secret_arn" {
  description = "Full ARN of the secret that masterarn names, for alternating users."
  type        = string
  default     = ""
}

variable "vpc_id" {
  description = "The database's VPC."
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

variable "endpoint_security_group_ids" {
  description = "One security group of the VPC's endpoint for Secrets Manager; empty if the VPC has a NAT gateway instead."
  type        = list(string)
  default     = []
}
