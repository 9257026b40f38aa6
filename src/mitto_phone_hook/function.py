"""The function as it is deployed: settings from the environment, the real clock, network and standard output."""

import gc
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib.util import find_spec
from typing import NoReturn

import functions_framework.aio
import httpx
from starlette.requests import Request
from starlette.responses import Response

from mitto_phone_hook.config.rules import CLOSED, MEMORY
from mitto_phone_hook.config.settings import Settings, SettingsError, load, renamed
from mitto_phone_hook.config.unknown_variables import unknown
from mitto_phone_hook.credentials.keyed_hash import random_key, state_key
from mitto_phone_hook.delivery.idempotency import CALL_SECONDS, kept_seconds
from mitto_phone_hook.domain.deadline import queue_seconds
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.telemetry.library_logs import take_over_library_logs
from mitto_phone_hook.telemetry.log_lines import emitter, standard_output


def _settings_or_exit() -> Settings:
    try:
        return load(os.environ, run_in_background=_in_a_thread, on_unavailable=_report_secret)
    except SettingsError as error:
        _refuse_to_start(*error.problems, *(f"{name} is no setting: {step}" for name, step in unknown(os.environ).items()))


def _refuse_to_start(*problems: str) -> NoReturn:
    sys.exit("mitto-phone-hook does not start:\n" + "\n".join(f"  {problem}" for problem in problems))


def _report_secret(setting: str) -> None:
    _EMIT({"severity": "ERROR", "event": "secret_unreadable", "setting": setting})


def _in_a_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True).start()


# The framework makes this the time after which the server kills a worker that did not stir. A cloud that takes an idle
# worker's CPU away would kill messages in flight with it; our own deadline ends every call.
os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"

_SETTINGS = _settings_or_exit()
if _SETTINGS.store_url != MEMORY and find_spec("redis") is None:
    _refuse_to_start("STORE_URL needs the package redis: stage with deploy/bundle.py --redis, or pip install redis")
_MITTO = httpx.URL(_SETTINGS.mitto_base_url)
try:
    _TLS = httpx.create_ssl_context() if _MITTO.scheme == "https" else None
except OSError:
    _refuse_to_start("SSL_CERT_FILE or SSL_CERT_DIR names no readable certificates; correct it or leave it out")
_OUTPUT = standard_output()
_EMIT = emitter(_SETTINGS.log_level, _OUTPUT)
_EMIT(
    {
        "severity": "INFO",
        "event": "started",
        "regions": ",".join(sorted(_SETTINGS.allowed_regions)) or "*",
        "policy": _SETTINGS.policy_mode,
        "store": _SETTINGS.store_url.partition(":")[0],
    }
)
if not _SETTINGS.allowed_regions:
    _EMIT({"severity": "WARNING", "event": "all_regions_allowed", "setting": "ALLOWED_REGIONS"})
if _SETTINGS.mitto_test:
    _EMIT({"severity": "WARNING", "event": "test_mode", "setting": "MITTO_TEST"})
if _SETTINGS.store_url == MEMORY and os.environ.get("WORKERS", "1") not in ("", "1"):
    _EMIT({"severity": "WARNING", "event": "workers_share_nothing", "setting": "STORE_URL"})
for _name, _successor in renamed(os.environ).items():
    _EMIT({"severity": "WARNING", "event": "renamed_setting", "setting": _name, "use": _successor})
for _name in unknown(os.environ):
    _EMIT({"severity": "WARNING", "event": "unknown_setting", "setting": _name})


@functions_framework.aio.http
async def send_phone_message(request: Request) -> Response:
    """Answer one call of the identity platform's hook: exactly one SMS through Mitto, or the reason why not."""
    headers = {name.lower(): value.strip() for name, value in request.scope["headers"]}
    call = Call(request.method, request.scope["path"], headers, _chunks(request))
    response = await _hook().answer(call)
    return Response(response.body, response.status, response.headers)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ConnectionError
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


@cache
def _hook() -> Hook:
    """Build on the first call: what starts before the server forks is dead, or shared, after it."""
    take_over_library_logs(_SETTINGS.log_level, _OUTPUT)
    # What was imported stays; and a call leaves few cycles behind, so looking for them after every 700 objects, as Python
    # does by default, was a tenth of a call's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
    return Hook(_SETTINGS, _mitto, _stores, _EMIT, cloud_project=os.environ.get("GOOGLE_CLOUD_PROJECT"))


def _mitto() -> Mitto:
    return Mitto(
        OneOriginTransport(_MITTO, _TLS),
        _SETTINGS.mitto_api_key,
        base_url=_SETTINGS.mitto_base_url,
        connect_timeout_seconds=_SETTINGS.connect_timeout_seconds,
        is_test=_SETTINGS.mitto_test,
    )


def _stores() -> Stores:
    deadline = _SETTINGS.deadline_seconds
    messages, calls = (kept_seconds(repeat, deadline) for repeat in (_SETTINGS.resend_after_seconds, CALL_SECONDS))
    if _SETTINGS.store_url == MEMORY:
        return Stores(MemoryIdempotencyStore(messages), MemoryIdempotencyStore(calls), MemoryCounterStore(), random_key())
    # The package is only there when it is asked for.
    from mitto_phone_hook.storage.redis_client import RedisClient  # noqa: PLC0415 - as said
    from mitto_phone_hook.storage.redis_counters import RedisCounterStore  # noqa: PLC0415 - as said
    from mitto_phone_hook.storage.redis_idempotency import RedisIdempotencyStore  # noqa: PLC0415 - as said

    event = {"severity": "ERROR", "event": "store_unavailable", "setting": "STORE_URL"}
    client = RedisClient(_SETTINGS.store_url, lambda: _EMIT(event), queue_seconds=queue_seconds(deadline))
    counters = RedisCounterStore(client, is_closed_on_failure=_SETTINGS.limits_fail == CLOSED)
    key = state_key(_SETTINGS.state_secret, _SETTINGS.mitto_api_key.current(time.monotonic()))
    return Stores(RedisIdempotencyStore(client, messages), RedisIdempotencyStore(client, calls), counters, key)
