variable "package" {
  description = "The file secret-rotation-arm64.zip of a release."
  type        = string
}

variable "secret_arn" {
  description = "The secret's full ARN."
  type        = string
}

variable "administrator_secret_arn" {
  description = "Of the secret that masterarn names in it, for alternating users."
  type        = string
  default     = ""
}

variable "vpc_id" {
  description = "The database's VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of two zones or more."
  type        = list(string)
}

variable "database_security_group_id" {
  description = "The database's security group."
  type        = string
}

variable "endpoint_security_group_ids" {
  description = "Of the VPC's endpoint for Secrets Manager, one of them; none if it has a NAT gateway in its place."
  type        = list(string)
  default     = []
}
