terraform {
  required_version = ">= 1.5"

  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = ">= 1.14.0, < 2.0.0" # 1.14.0 brought auth0_phone_provider
    }
  }
}

# AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET come from the environment.
provider "auth0" {}

locals {
  is_provider = var.trigger == "custom-phone-provider"
}

# The state file holds the secrets in plain text: keep it where only you can read it.
resource "auth0_action" "hook" {
  name    = coalesce(var.action_name, "Mitto ${var.trigger}")
  runtime = "node22"
  deploy  = true
  code    = file("${path.module}/../${var.trigger}.js")

  supported_triggers {
    id      = var.trigger
    version = local.is_provider ? "v1" : "v2"
  }

  secrets {
    name  = "HOOK_URL"
    value = var.hook_url
  }

  secrets {
    name  = "HOOK_SECRET"
    value = var.hook_secret
  }
}

# Auth0 refuses a custom phone provider while no Action for it is deployed.
resource "auth0_phone_provider" "hook" {
  count      = local.is_provider ? 1 : 0
  depends_on = [auth0_action.hook]

  name     = "custom"
  disabled = false

  configuration {
    delivery_methods = ["text"] # Mitto's SMS API makes no calls
  }

  credentials {}
}

# Appends to the trigger: a second Action there would mean a second SMS.
resource "auth0_trigger_action" "hook" {
  count      = local.is_provider ? 0 : 1
  depends_on = [auth0_action.hook]

  trigger   = var.trigger
  action_id = auth0_action.hook.id
}
