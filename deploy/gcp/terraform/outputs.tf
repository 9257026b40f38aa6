output "url" {
  description = "Where the identity platform calls; POST / or /hooks/<platform>."
  value       = google_cloud_run_v2_service.hook.uri
}

output "egress_address" {
  description = "The address for Mitto's allow-list, where static_egress is on."
  value       = one(google_compute_address.egress[*].address)
}
