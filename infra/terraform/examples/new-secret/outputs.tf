output "rotation" {
  description = "The outputs of infra/terraform."
  value       = module.rotation
}
