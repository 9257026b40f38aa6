# Optional: a network of its own, for a fixed address and for Redis.

locals {
  has_network = var.static_egress || var.redis
}

resource "google_compute_network" "own" {
  count = local.has_network ? 1 : 0

  project                 = var.project_id
  name                    = var.service
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

resource "google_compute_subnetwork" "own" {
  count = local.has_network ? 1 : 0

  project                  = var.project_id
  region                   = var.region
  name                     = var.service
  network                  = google_compute_network.own[0].id
  ip_cidr_range            = "10.8.0.0/26" # the smallest that Cloud Run takes
  private_ip_google_access = true
}

resource "google_compute_address" "egress" {
  count = var.static_egress ? 1 : 0

  project    = var.project_id
  region     = var.region
  name       = var.service
  depends_on = [google_project_service.api]
}

resource "google_compute_router" "egress" {
  count = var.static_egress ? 1 : 0

  project = var.project_id
  region  = var.region
  name    = var.service
  network = google_compute_network.own[0].id
}

resource "google_compute_router_nat" "egress" {
  count = var.static_egress ? 1 : 0

  project                            = var.project_id
  region                             = var.region
  name                               = var.service
  router                             = google_compute_router.egress[0].name
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = [google_compute_address.egress[0].self_link]
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"
  # All connections go to one host and port, so each needs a port of its own: the default of 64 is less than one instance's concurrency.
  min_ports_per_vm = 1024

  subnetwork {
    name                    = google_compute_subnetwork.own[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }
}

# Nobody else is in this network, so Redis needs no password that would have to be kept somewhere.
resource "google_redis_instance" "store" {
  count = var.redis ? 1 : 0

  project            = var.project_id
  region             = var.region
  name               = var.service
  tier               = "BASIC"
  memory_size_gb     = 1
  redis_version      = "REDIS_7_2"
  authorized_network = google_compute_network.own[0].id
  connect_mode       = "DIRECT_PEERING"
  depends_on         = [google_project_service.api]

  lifecycle {
    precondition {
      condition     = !local.has_own_store_url
      error_message = "redis = true sets STORE_URL itself: leave one of the two out."
    }
  }
}
