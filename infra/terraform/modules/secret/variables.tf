# The parameters of infra/sam/secret.yaml, by the same names.

variable "secret_name" {
  description = "Such as orders/db. A secret keeps its name."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^([A-Za-z0-9/_+=.@-]{1,512})$", var.secret_name))
    error_message = "Letters, digits and /_+=.@-, 512 at most."
  }
}

variable "secret_document" {
  description = "JSON without the password: engine, host, port, dbname, username, and masterarn for alternating users. Only for the first value: a later change here changes nothing."
  type        = string
  nullable    = false
  sensitive   = true # a password that does not belong there is not shown
}

variable "kms_key_arn" {
  description = "The customer's key; none for aws/secretsmanager, with which no other account can read it."
  type        = string
  default     = ""
  nullable    = false
}

variable "replica_regions" {
  description = "Regions that have a copy; under their own aws/secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.replica_regions : can(regex("^([a-z]+(-[a-z]+)+-[0-9]+)$", item))])
    error_message = "Regions such as eu-west-1."
  }
}

variable "deletion_guard" {
  description = "Whether nobody may delete the secret, but `terraform destroy`. It takes the place of a resource policy, of which a secret has one."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "For the secret."
  type        = map(string)
  default     = {}
  nullable    = false
}
