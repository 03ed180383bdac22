terraform {
  required_version = ">= 1.11" # what is written and never read back
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}
