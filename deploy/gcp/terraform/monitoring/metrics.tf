# What the alerts and the dashboard count: the function's own log lines. Their field "event" says how a call ended.

locals {
  prefix     = replace(var.service, "-", "_")
  log_filter = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.service}\""
  durations = {
    duration = { field = "duration_ms", text = "Whole hook calls" }
    upstream = { field = "upstream_ms", text = "Mitto's part of the calls" }
  }
}

resource "google_logging_metric" "events" {
  project     = var.project_id
  name        = "${local.prefix}_events"
  description = "Log lines by event and by region of the recipient."
  # In observe mode a spent budget refuses nothing, and its line is a warning: that must wake nobody.
  filter = "${local.log_filter} jsonPayload.event:* NOT (jsonPayload.event=\"budget_exhausted\" severity<ERROR)"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key         = "event"
      description = "How the call ended, or what else happened"
    }
    labels {
      key         = "region"
      description = "Region of the recipient"
    }
  }
  label_extractors = {
    event  = "EXTRACT(jsonPayload.event)"
    region = "EXTRACT(jsonPayload.region)"
  }
}

resource "google_logging_metric" "milliseconds" {
  for_each = local.durations

  project     = var.project_id
  name        = "${local.prefix}_${each.key}"
  description = "${each.value.text}, of those that reached Mitto."
  filter      = "${local.log_filter} jsonPayload.attempts>0"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"
  }
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  bucket_options {
    exponential_buckets { # 10 ms to 15 s in steps of a fifth
      scale              = 10
      growth_factor      = 1.2
      num_finite_buckets = 40
    }
  }
}
