# The parameters of infra/sam/secret.yaml, with the same names.

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
  sensitive   = true # Terraform does not show a password that was put here by mistake
}

variable "kms_key_arn" {
  description = "The customer's key; empty for aws/secretsmanager, with which no other account can read the secret."
  type        = string
  default     = ""
  nullable    = false
}

variable "replica_regions" {
  description = "Regions that have a copy, encrypted with their own aws/secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for item in var.replica_regions : can(regex("^([a-z]+(-[a-z]+)+-[0-9]+)$", item))])
    error_message = "Regions such as eu-west-1."
  }
}

variable "deletion_guard" {
  description = "Whether a resource policy forbids everyone except `terraform destroy` to delete the secret. A secret has only one resource policy."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "Tags for the secret."
  type        = map(string)
  default     = {}
  nullable    = false
}
