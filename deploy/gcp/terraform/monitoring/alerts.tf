# One row per alert. The person on call gets the text of "what"; docs/operations.md says more.
#
# In PromQL, since only there Google takes an alert on a metric that has no data yet.

locals {
  # How PromQL names a log-based metric, and the buckets of a distribution.
  events       = "logging_googleapis_com:user_${google_logging_metric.events.name}"
  milliseconds = { for key, metric in google_logging_metric.milliseconds : key => "logging_googleapis_com:user_${metric.name}_bucket" }
  one          = "monitored_resource=\"cloud_run_revision\""

  # Refused before anything was sent, by the rules that fraud and a wrong set-up run into.
  refusals = [
    "unauthorized", "invalid_json", "invalid_request", "invalid_recipient", "blocked_country", "blocked_number_type",
    "blocked_recipient", "rate_limited", "budget_exhausted",
  ]

  # Lines that come after a message, which are no calls.
  follow_ups = [
    "delivered", "undelivered", "expired", "rejected", "buffered", "unknown_status", "report_repeated", "report_unreadable",
    "report_refused", "converted", "conversion_failed", "conversion_rate",
  ]
  calls = "event!~\"${join("|", local.follow_ups)}\""

  # More lines than this of an event in ten minutes.
  counted = {
    outcome_unknown      = { above = 3, severity = "ERROR", what = "It is unknown whether messages were sent. Mitto, or the connection to it, has a problem." }
    upstream_auth        = { above = 0, severity = "CRITICAL", what = "Mitto refuses this function: API key, address allow-list, sender ID or certificate. No message is sent." }
    upstream_unavailable = { above = 10, severity = "ERROR", what = "Mitto is unreachable, or limits the calls. Nothing was sent; callers may try again." }
    upstream_rejected    = { above = 10, severity = "WARNING", what = "Mitto refuses messages; the field \"why\" of the log lines says which code." }
    budget_exhausted     = { above = 0, severity = "CRITICAL", what = "A budget is used up; messages are refused until its window ends. Is it fraud, or just many users?" }
    store_unavailable    = { above = 0, severity = "ERROR", what = "The store does not respond; each instance knows only its own duplicates and limits." }
    internal_error       = { above = 0, severity = "ERROR", what = "A bug of the function; the field \"stack_trace\" of the log line says where." }
  }

  alerts = merge(
    {
      for event, row in local.counted : event => {
        severity = row.severity
        what     = row.what
        query    = "sum(increase(${local.events}{${local.one},event=\"${event}\"}[10m])) > ${row.above}"
      }
    },
    {
      refusals = {
        severity = "WARNING"
        what     = "An unusual share of the calls is refused. Look at the dashboard for the event and the region: is it fraud, or a wrong setting?"
        query = join(" ", [
          "(sum(increase(${local.events}{${local.one},event=~\"${join("|", local.refusals)}\"}[10m]))",
          "/ sum(increase(${local.events}{${local.one},${local.calls}}[10m])) > ${var.refused_share})",
          "and (sum(increase(${local.events}{${local.one},${local.calls}}[10m])) > 50)",
        ])
      }
      low_conversion = {
        severity = "WARNING"
        what     = "In one region hardly anybody enters the codes: is it SMS pumping? docs/troubleshooting.md, Costs explode. Only where CONVERSIONS=on."
        query = join(" ", [
          "(sum by (region) (increase(${local.events}{${local.one},event=\"converted\"}[1h])) or",
          "0 * sum by (region) (increase(${local.events}{${local.one},event=\"accepted\"}[1h])))",
          "/ sum by (region) (increase(${local.events}{${local.one},event=\"accepted\"}[1h])) < ${var.converted_share}",
          "and (sum by (region) (increase(${local.events}{${local.one},event=\"accepted\"}[1h])) > 50)",
          "and on () (sum(increase(${local.events}{${local.one},event=\"converted\"}[1d])) > 0)",
        ])
      }
      slow = {
        severity = "WARNING"
        what     = "Calls take so long that identity platforms give up waiting. Compare the two latencies on the dashboard: is it Mitto's part?"
        query    = "histogram_quantile(0.95, sum by (le) (rate(${local.milliseconds.duration}{${local.one}}[10m]))) > ${var.slow_milliseconds}"
      }
    },
  )
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "${var.service}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key
    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.what}\n\nLog lines: `${local.log_filter} jsonPayload.event:*`"
  }

  alert_strategy {
    auto_close = "3600s"
  }
}
