variable "hook_url" {
  description = "The function's https address, with / as its path."
  type        = string

  validation {
    condition     = startswith(var.hook_url, "https://")
    error_message = "hook_url must begin with https://."
  }
}

variable "hook_secret" {
  description = "One of the function's HOOK_SECRETS: whsec_ and base64 (signed requests), or 24 and more characters (bearer)."
  type        = string
  sensitive   = true

  validation {
    condition     = length(trimspace(var.hook_secret)) >= 24
    error_message = "hook_secret must have at least 24 characters."
  }
}

variable "trigger" {
  description = "custom-phone-provider for the tenant-wide phone provider, send-phone-message for the classic MFA phone factor."
  type        = string
  default     = "custom-phone-provider"

  validation {
    condition     = contains(["custom-phone-provider", "send-phone-message"], var.trigger)
    error_message = "trigger must be custom-phone-provider or send-phone-message."
  }
}

variable "action_name" {
  description = "The name of the Action in the tenant: Mitto and the trigger, unless you say otherwise."
  type        = string
  default     = null
}
