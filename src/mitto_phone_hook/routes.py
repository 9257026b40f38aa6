"""Which paths exist, and which platform uses each."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from mitto_phone_hook.platforms import NAMES, ROOT

HEALTH_PATH = "/health"

REPORTS_PREFIX = "/reports/"


class Route(NamedTuple):
    """One path, its methods, and the platform that calls it; ``None`` for the health check."""

    path: str
    methods: tuple[str, ...]
    platform: str | None = None
    secrets: str = ""
    """The platform whose secrets are valid here; empty: the secrets for all platforms."""


def routes_for(platforms: Collection[str]) -> Mapping[str, Route]:
    """Give all routes by path: ``/``, one for each platform, and the health check."""
    routes = [
        Route("/", ("POST",), ROOT),
        *(Route(f"/hooks/{name}", ("POST",), name, name) for name in platforms),
        Route(HEALTH_PATH, ("GET", "HEAD")),
    ]
    return {route.path: route for route in routes}


def platform_below(path: str, platforms: Collection[str]) -> str:
    """Give the platform whose route ``path`` is, or lies below: it reads also the response to a call that went astray.

    A double slash and capital letters, as in a URL that was put together wrongly, do not hide the platform that reads it.
    """
    parts = [part for part in path.lower().split("/") if part]
    return parts[1] if parts[:1] == ["hooks"] and len(parts) > 1 and parts[1] in platforms else ROOT


ROUTES = routes_for(NAMES)

REPORTS = Route(f"{REPORTS_PREFIX}*", ("GET", "POST"))
"""Mitto's delivery reports. The last part of the path is a secret, so this is the path in the log."""

CONVERSIONS = Route("/conversions", ("POST",), "native", "native")
"""Where callers say that a code was used."""
