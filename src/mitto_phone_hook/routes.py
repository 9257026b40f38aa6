"""Which paths exist, and which platform each belongs to."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused
from mitto_phone_hook.platforms import NAMES, ROOT

HEALTH_PATH = "/health"


class Route(NamedTuple):
    """One path: its methods, and the platform whose hook it is, ``None`` where it is no hook."""

    path: str
    methods: tuple[str, ...]
    platform: str | None = None
    secrets: str = ""
    """The platform whose secrets open it; empty: the secrets for all."""

    @property
    def allow(self) -> str:
        """The methods as the ``Allow`` header names them."""
        return ", ".join(self.methods)


def routes_for(platforms: Collection[str]) -> Mapping[str, Route]:
    """Give every path there is: ``/``, one for each platform, and the health check."""
    routes = [
        Route("/", ("POST",), ROOT),
        *(Route(f"/hooks/{name}", ("POST",), name, name) for name in platforms),
        Route(HEALTH_PATH, ("GET", "HEAD")),
    ]
    return {route.path: route for route in routes}


ROUTES = routes_for(NAMES)
"""The framework hands over all paths, whatever they are; these exist."""


def find_route(path: str, routes: Mapping[str, Route] = ROUTES) -> Route:
    """Look up the route of a path, or raise ``Refused`` with ``not_found``."""
    if (route := routes.get(path)) is None:
        raise Refused(Outcome.NOT_FOUND)
    return route


def check_method(method: str, route: Route) -> None:
    """Raise ``Refused`` with ``method_not_allowed`` where the route does not take the method."""
    if method not in route.methods:
        raise Refused(Outcome.METHOD_NOT_ALLOWED)
