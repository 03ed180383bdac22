output "secret_arn" {
  description = "The secret's full ARN, for secret_arns"
  value       = aws_secretsmanager_secret.secret.arn
  depends_on  = [aws_secretsmanager_secret_version.first] # a secret without a value cannot rotate
}
