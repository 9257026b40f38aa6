"""Asks Mitto for the usage by country: ``POST {base}/usage/bycountry``, as Mitto's API documentation describes it (see ``usage``)."""

from collections.abc import Mapping
from datetime import date

import httpx

from mitto_phone_hook.cli.address import open_client
from mitto_phone_hook.cli.report import Line, Mark
from mitto_phone_hook.cli.usage import MAX_BYTES, Usage, read_usage
from mitto_phone_hook.config.settings import SettingsError, load

_NEEDED = ("MITTO_API_KEY", "MITTO_API_KEY_FILE", "MITTO_BASE_URL")
_NOT_NEEDED = {"HOOK_SECRETS": "-" * 64}
_STEPS = {
    401: "compare MITTO_API_KEY with Mitto's dashboard",
    403: "ask Mitto to register the IP address of this machine",
    404: "correct MITTO_BASE_URL",
}
_FILE_STEP = "ask Mitto whether the account has usage by country; give a file instead: --usage"


class UsageUnknown(Exception):  # noqa: N818 - a finding, not an error
    """Mitto did not give the usage. The line says why."""

    def __init__(self, text: str, next_step: str = _FILE_STEP) -> None:
        """Take what happened, and what to do about it."""
        super().__init__(text)
        self.line = Line(Mark.ERROR, "usage", text, next_step)


def ask_usage(environment: Mapping[str, str], account: str, first: date, last: date) -> Mapping[str, Usage]:
    """Ask for the usage from the first to the last day, with ``MITTO_API_KEY`` of this environment. Raises ``UsageUnknown``."""
    try:
        settings = load({name: environment[name] for name in _NEEDED if name in environment} | _NOT_NEEDED)
    except SettingsError as error:
        raise UsageUnknown("not asked: " + "; ".join(error.problems), "put the function's MITTO_API_KEY into this shell") from None
    fields = {"startDate": first.isoformat(), "endDate": last.isoformat(), "accountName": account}
    headers = {"X-Mitto-API-Key": settings.mitto_api_key.current(0), "Accept-Encoding": "identity"}
    url = f"{settings.mitto_base_url}/usage/bycountry"
    try:
        with open_client(url) as client, client.stream("POST", url, json=fields, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise UsageUnknown(f"Mitto responds {response.status_code}", _STEPS.get(response.status_code, _FILE_STEP))
            content = b""
            for piece in response.iter_raw():
                content += piece
                if len(content) > MAX_BYTES:
                    break
    except httpx.TransportError:
        raise UsageUnknown("no valid response from Mitto", "mitto-phone-hook check tests the connection") from None
    try:
        return read_usage(content)
    except ValueError as error:
        raise UsageUnknown(f"Mitto's response {error}") from None
