output "function_arn" {
  description = "For RotateSecret of a secret that the module does not schedule"
  value       = aws_lambda_function.function.arn
}

output "function_role_arn" {
  description = "For the key policy, and the resource policy of a secret in another account"
  value       = aws_iam_role.function.arn
}

output "topic_arn" {
  description = "Where alarms go"
  value       = aws_sns_topic.alarms.arn
}

output "operator_policy_arn" {
  description = "For the role of the operators, who run rotatectl"
  value       = aws_iam_policy.operator.arn
}

output "application_policy_arns" {
  description = "By the secret's name in secret_arns, for the role of the application that reads it"
  value       = { for name, policy in aws_iam_policy.application : name => policy.arn }
}
