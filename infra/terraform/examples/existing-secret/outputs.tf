output "rotation" {
  description = "What infra/terraform puts out."
  value       = module.rotation
}
