# One screen: how calls end, where messages go, how long it takes, and the lines that somebody should read.

locals {
  charts = [
    { title = "Calls a minute, by how they ended", query = "sum by (event) (rate(${local.events}{${local.one},${local.calls}}[5m])) * 60" },
    { title = "Accepted messages a minute, by region", query = "sum by (region) (rate(${local.events}{${local.one},event=\"accepted\"}[5m])) * 60" },
    { title = "Refused calls a minute", query = "sum by (event) (rate(${local.events}{${local.one},event=~\"${join("|", local.refusals)}\"}[5m])) * 60" },
    { title = "Milliseconds a call, slowest 5 %", query = "histogram_quantile(0.95, sum by (le) (rate(${local.milliseconds.duration}{${local.one}}[5m])))" },
    { title = "Milliseconds of Mitto's part, slowest 5 %", query = "histogram_quantile(0.95, sum by (le) (rate(${local.milliseconds.upstream}{${local.one}}[5m])))" },
  ]
  tiles = [
    for index, chart in local.charts : {
      xPos   = 24 * (index % 2)
      yPos   = 16 * floor(index / 2)
      width  = 24
      height = 16
      widget = {
        title = chart.title
        xyChart = {
          dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = chart.query } }]
        }
      }
    }
  ]
}

resource "google_monitoring_dashboard" "hook" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = var.service
    mosaicLayout = {
      columns = 48
      tiles = concat(local.tiles, [{
        xPos   = 24
        yPos   = 32
        width  = 24
        height = 16
        widget = {
          title = "Lines to look into"
          logsPanel = {
            filter        = "${local.log_filter} severity>=ERROR"
            resourceNames = ["projects/${var.project_id}"]
          }
        }
      }])
    }
  })
}
