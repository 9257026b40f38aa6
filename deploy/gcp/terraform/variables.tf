variable "project_id" {
  description = "Project that everything goes into."
  type        = string
}

variable "region" {
  description = "Region of the service, near Mitto and the identity platform: europe-west6, ..."
  type        = string
}

variable "service" {
  description = "Name of the service, and start of every other name."
  type        = string
  default     = "mitto-phone-hook"

  validation {
    # The id of a service account, which the name begins, has 30 characters at most.
    condition     = can(regex("^[a-z][a-z0-9-]{4,22}[a-z0-9]$", var.service))
    error_message = "6 to 24 lower-case letters, digits and hyphens."
  }
}

variable "bundle" {
  description = "Folder that deploy/bundle.py staged. With redis = true, or a Redis in STORE_URL, it must be staged with --redis."
  type        = string
  default     = "../../../build/bundle"
}

variable "base_image" {
  description = "System and Python under the function. Google replaces the image in place when it mends it."
  type        = string
  default     = "google-22/runtimes/python313"
}

variable "settings" {
  description = "Settings of the function that are no secrets; docs/configuration.md lists them."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : !can(regex("^(MITTO_API_KEY|HOOK_SECRETS|REPORT_SECRETS|TEST_NUMBERS)", name))])
    error_message = "Secrets would end up in Terraform's state: keep them in Secret Manager and name them in \"secrets\"."
  }

  validation {
    condition     = !strcontains(lookup(var.settings, "STORE_URL", ""), "@")
    error_message = "STORE_URL holds a password: keep it in Secret Manager and name it in \"secrets\"."
  }

  validation {
    condition     = alltrue([for name in keys(var.settings) : !can(regex("^(PORT$|K_|FUNCTION_)", name))])
    error_message = "PORT, K_... and FUNCTION_... are set by Cloud Run: leave them out."
  }

  validation {
    condition     = can(regex("^(0*[0-9](\\.[0-9]*)?)?$", lookup(var.settings, "DEADLINE_SECONDS", "")))
    error_message = "DEADLINE_SECONDS must be a number below 10: Google kills an instance 10 s after the signal to stop."
  }
}

variable "secrets" {
  description = "Secret settings. The secret of each must exist: <service>-mitto-api-key, <service>-hook-secrets, ..."
  type        = set(string)
  default     = ["MITTO_API_KEY", "HOOK_SECRETS"]

  validation {
    condition     = alltrue([for name in var.secrets : can(regex("^(MITTO_API_KEY|STORE_URL|REPORT_SECRETS|TEST_NUMBERS|HOOK_SECRETS(_[A-Z0-9]+)?)$", name))])
    error_message = "MITTO_API_KEY, HOOK_SECRETS, HOOK_SECRETS_ with the name of a platform, REPORT_SECRETS, TEST_NUMBERS, or STORE_URL."
  }
}

variable "static_egress" {
  description = "Leave Google by one fixed address, for Mitto's allow-list. Cloud NAT can add up to 30 s to a cold start."
  type        = bool
  default     = false
}

variable "redis" {
  description = "A Redis of its own, so that several instances share what they know."
  type        = bool
  default     = false
}

variable "min_instances" {
  description = "Instances that are kept warm. None saves money and costs the first caller a cold start."
  type        = number
  default     = 1
}

variable "max_instances" {
  description = "Most instances at once (default: 1, and 10 with a Redis); without a Redis each one knows only its own messages."
  type        = number
  default     = null
}

variable "concurrency" {
  description = "Calls that one instance answers at once. They wait for Mitto most of the time."
  type        = number
  default     = 80
}

variable "notification_channels" {
  description = "Who hears of alerts: projects/<id>/notificationChannels/<number>, ..."
  type        = list(string)
  default     = []
}
