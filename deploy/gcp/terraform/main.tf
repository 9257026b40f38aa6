# The function as a Cloud Run function, built by Google from the staged bundle. docs/deploy.md tells the order of steps.

locals {
  # A secret's setting names its place twice: as the secret's id and as the folder where it is mounted.
  secrets           = { for name in var.secrets : name => lower(replace(name, "_", "-")) }
  base_image        = "${var.region}-docker.pkg.dev/serverless-runtimes/${var.base_image}"
  image             = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}/${var.service}"
  has_own_store_url = contains(keys(var.settings), "STORE_URL") || contains(var.secrets, "STORE_URL")
  # A Redis that is made here, or one of yours: either way several instances share what they know.
  has_shared_store = var.redis || contains(var.secrets, "STORE_URL") || startswith(lookup(var.settings, "STORE_URL", ""), "redis")
  apis = concat(
    ["run", "cloudbuild", "artifactregistry", "secretmanager", "logging", "monitoring"],
    local.has_network ? ["compute"] : [],
    var.redis ? ["redis"] : [],
  )
  environment = merge(
    # Joins the function's log lines to Cloud Run's own.
    { GOOGLE_CLOUD_PROJECT = var.project_id },
    # Where the server puts its control socket; without a writable folder it logs a warning at every start.
    { XDG_RUNTIME_DIR = "/tmp" },
    { for name, id in local.secrets : "${name}_FILE" => "/secrets/${id}/value" },
    var.redis ? { STORE_URL = "redis://${google_redis_instance.store[0].host}:${google_redis_instance.store[0].port}" } : {},
    var.settings,
  )
}

resource "google_project_service" "api" {
  for_each = toset(local.apis)

  project            = var.project_id
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

resource "google_service_account" "runtime" {
  project      = var.project_id
  account_id   = var.service
  display_name = "Runs ${var.service}"
}

resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "${var.service}-build"
  display_name = "Builds ${var.service}"
}

resource "google_project_iam_member" "build" {
  project = var.project_id
  role    = "roles/run.builder"
  member  = google_service_account.build.member
}

# Secrets are made beforehand, by hand: their values never pass through Terraform's state.
data "google_secret_manager_secret" "setting" {
  for_each = local.secrets

  project    = var.project_id
  secret_id  = "${var.service}-${each.value}"
  depends_on = [google_project_service.api]
}

# The runtime account has no other right than to read these.
resource "google_secret_manager_secret_iam_member" "runtime" {
  for_each = local.secrets

  project   = var.project_id
  secret_id = data.google_secret_manager_secret.setting[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = var.region
  repository_id = var.service
  format        = "DOCKER"
  depends_on    = [google_project_service.api]

  cleanup_policies {
    id     = "keep-ten"
    action = "KEEP"
    most_recent_versions {
      keep_count = 10 # as many steps back are possible
    }
  }
  cleanup_policies {
    id     = "delete-others"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }
}

data "archive_file" "bundle" {
  type             = "zip"
  source_dir       = var.bundle
  output_path      = "${path.root}/.terraform/bundle.zip"
  output_file_mode = "0644" # the same archive on every machine
}

resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.service}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # holds nothing but bundles
}

resource "google_storage_bucket_object" "bundle" {
  bucket = google_storage_bucket.source.name
  name   = "bundle-${data.archive_file.bundle.output_md5}.zip" # another bundle, another name: that starts a build
  source = data.archive_file.bundle.output_path

  lifecycle {
    precondition {
      condition     = fileexists("${var.bundle}/main.py") && fileexists("${var.bundle}/requirements.txt")
      error_message = "There is no bundle; run python3 deploy/bundle.py first."
    }
    precondition {
      condition     = !local.has_shared_store || can(regex("(?m)^redis==", file("${var.bundle}/requirements.txt")))
      error_message = "The bundle lacks the Redis client; run python3 deploy/bundle.py --redis first."
    }
  }
}

resource "google_cloud_run_v2_service" "hook" {
  project             = var.project_id
  name                = var.service
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = false

  # Identity platforms cannot mint Google's tokens: the function itself authenticates every caller.
  invoker_iam_disabled = true

  scaling {
    min_instance_count = var.min_instances
  }

  build_config {
    source_location          = "gs://${google_storage_bucket.source.name}/${google_storage_bucket_object.bundle.name}"
    function_target          = "send_phone_message"
    image_uri                = local.image
    base_image               = local.base_image
    enable_automatic_updates = true
    service_account          = google_service_account.build.id
    environment_variables = {
      # The buildpack compiles our own files by time stamp, and its export changes every time stamp.
      # With this variable Python compiles by content, and the bytecode stays valid.
      SOURCE_DATE_EPOCH = "315532801"
    }
  }

  template {
    service_account                  = google_service_account.runtime.email
    timeout                          = "30s"
    max_instance_request_concurrency = var.concurrency

    scaling {
      max_instance_count = coalesce(var.max_instances, local.has_shared_store ? 10 : 1)
    }

    containers {
      image          = local.image
      base_image_uri = local.base_image

      resources {
        limits            = { cpu = "1", memory = "512Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = local.secrets
        content {
          name       = volume_mounts.value
          mount_path = "/secrets/${volume_mounts.value}"
        }
      }
    }

    # "latest", since the function reads its secrets again every 5 minutes: a rotation needs no deployment.
    dynamic "volumes" {
      for_each = local.secrets
      content {
        name = volumes.value
        secret {
          secret = data.google_secret_manager_secret.setting[volumes.key].secret_id
          items {
            path    = "value"
            version = "latest"
          }
        }
      }
    }

    dynamic "vpc_access" {
      for_each = local.has_network ? [1] : []
      content {
        egress = var.static_egress ? "ALL_TRAFFIC" : "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.own[0].id
          subnetwork = google_compute_subnetwork.own[0].id
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].containers[0].image] # each build names its own image
  }
  depends_on = [
    google_project_service.api,
    google_project_iam_member.build,
    google_secret_manager_secret_iam_member.runtime,
    google_compute_router_nat.egress,
  ]
}

module "monitoring" {
  source = "./monitoring"

  project_id            = var.project_id
  service               = var.service
  notification_channels = var.notification_channels
  depends_on            = [google_project_service.api]
}
