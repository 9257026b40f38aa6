variable "project_id" {
  description = "Project that the function logs into."
  type        = string
}

variable "service" {
  description = "Name of the Cloud Run service."
  type        = string
  default     = "mitto-phone-hook"
}

variable "notification_channels" {
  description = "Who hears of alerts: projects/<id>/notificationChannels/<number>, ..."
  type        = list(string)
  default     = []
}

variable "slow_milliseconds" {
  description = "Alert when 5 % of the calls take longer. The tightest caller, Okta, waits 3 s."
  type        = number
  default     = 2500
}

variable "refused_share" {
  description = "Alert when more than this share of the calls is refused, of at least 50 in ten minutes."
  type        = number
  default     = 0.3
}

variable "converted_share" {
  description = "Alert when a smaller share of more than 50 accepted messages of an hour to one region converts; needs CONVERSIONS=on."
  type        = number
  default     = 0.3
}
