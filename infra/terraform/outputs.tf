output "function_arn" {
  description = "The function, for RotateSecret of a secret that the module does not schedule"
  value       = aws_lambda_function.function.arn
}

output "function_role_arn" {
  description = "The function's role, for the key policy, and for the resource policy of a secret in another account"
  value       = aws_iam_role.function.arn
}

output "topic_arn" {
  description = "The topic that gets the alarms"
  value       = aws_sns_topic.alarms.arn
}

output "operator_policy_arn" {
  description = "The policy for the role of operators, who run rotatectl"
  value       = aws_iam_policy.operator.arn
}

output "application_policy_arns" {
  description = "The policies for applications' roles, by the secret's name in secret_arns"
  value       = { for name, policy in aws_iam_policy.application : name => policy.arn }
}
