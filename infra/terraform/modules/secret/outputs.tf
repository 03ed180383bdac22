output "secret_arn" {
  description = "For secret_arns"
  value       = aws_secretsmanager_secret_version.first.arn # with the first password in it: without, it cannot rotate
}
