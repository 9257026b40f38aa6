output "action_id" {
  description = "The Action's id in the tenant."
  value       = auth0_action.hook.id
}

output "action_version_id" {
  description = "The deployed version: it changes with every new code or secret."
  value       = auth0_action.hook.version_id
}

output "phone_provider_id" {
  description = "The tenant's phone provider, null with send-phone-message."
  value       = one(auth0_phone_provider.hook[*].id)
}
