"""Which paths exist, and which secrets open them."""

from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused

HEALTH_PATH = "/health"


class Route(NamedTuple):
    """One path: its methods and, for a hook, the setting whose secrets it accepts before the general ones."""

    methods: tuple[str, ...]
    own_secrets: str | None = None


ROUTES = {
    "/": Route(("POST",)),
    "/hooks/auth0": Route(("POST",), own_secrets="hook_secrets_auth0"),
    HEALTH_PATH: Route(("GET", "HEAD")),
}
"""Every path there is; the framework hands over all of them, whatever they are."""


def find_route(method: str, path: str) -> Route:
    """Look up the route, or raise ``Refused`` with ``not_found`` or ``method_not_allowed``."""
    route = ROUTES.get(path)
    if route is None:
        raise Refused(Outcome.NOT_FOUND)
    if method not in route.methods:
        raise Refused(Outcome.METHOD_NOT_ALLOWED)
    return route


def allowed_methods(path: str) -> str | None:
    """Name the methods of a path as the ``Allow`` header wants them; ``None`` where there is no such path."""
    route = ROUTES.get(path)
    return ", ".join(route.methods) if route else None
