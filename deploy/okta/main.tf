# The telephony inline hook of an Okta org. The provider reads OKTA_ORG_NAME, OKTA_BASE_URL and OKTA_API_TOKEN.

terraform {
  required_version = ">= 1.5"
  required_providers {
    okta = {
      source  = "okta/okta"
      version = ">= 4.0"
    }
  }
}

variable "function_url" {
  description = "The https URL of the function, without a path."
  type        = string
}

variable "hook_secret" {
  description = "A bearer secret of HOOK_SECRETS_OKTA. It is also in the state: keep that private."
  type        = string
  sensitive   = true
}

resource "okta_inline_hook" "mitto_sms" {
  name    = "Mitto SMS"
  version = "1.0.0"
  type    = "com.okta.telephony.provider"
  status  = "ACTIVE"

  channel = {
    type    = "HTTP"
    version = "1.0.0"
    uri     = "${var.function_url}/hooks/okta"
    method  = "POST"
  }

  auth = {
    type  = "HEADER"
    key   = "Authorization"
    value = "Bearer ${var.hook_secret}"
  }
}
