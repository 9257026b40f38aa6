"""The function as it is deployed: with the real environment, clock, network and standard output."""

import gc
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NoReturn

import httpx

from mitto_phone_hook.config.packages import missing_packages
from mitto_phone_hook.config.rules import CLOSED, MEMORY
from mitto_phone_hook.config.settings import SettingsError, load, renamed
from mitto_phone_hook.config.unknown_variables import unknown
from mitto_phone_hook.credentials.hook_secrets import TokenRefusal
from mitto_phone_hook.credentials.keyed_hash import random_key, state_key
from mitto_phone_hook.credentials.rotation import RotatingSecret
from mitto_phone_hook.delivery.idempotency import CALL_SECONDS, kept_seconds
from mitto_phone_hook.domain.deadline import queue_seconds
from mitto_phone_hook.hook import Hook, Stores, response_to_unreadable
from mitto_phone_hook.http_guard import install
from mitto_phone_hook.http_server import serving
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.transport import OneOriginTransport
from mitto_phone_hook.platforms._contract import Response
from mitto_phone_hook.request import Call, repeated
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.telemetry.library_logs import take_over_library_logs
from mitto_phone_hook.telemetry.log_lines import Emit, emitter, standard_output


def _refuse_to_start(*problems: str) -> NoReturn:
    sys.exit("mitto-phone-hook does not start:\n" + "\n".join(f"  {problem}" for problem in problems))


def _in_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True).start()


# The framework makes this the time after which the server kills a worker that did not report. A cloud that takes the CPU of an
# idle worker away would then kill messages in flight. Our own deadline ends every call.
os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"

try:
    _SETTINGS = load(
        os.environ,
        run_in_background=_in_thread,
        on_unavailable=lambda name: _EMIT({"severity": "ERROR", "event": "secret_unreadable", "setting": name}),
    )
except SettingsError as error:
    _refuse_to_start(*error.problems, *(f"{name} is no setting: {step}" for name, step in unknown(os.environ).items()))
_IN_MEMORY = _SETTINGS.store_url == MEMORY
if _MISSING := tuple(missing_packages(_SETTINGS)):
    _refuse_to_start(*_MISSING)
_MITTO = httpx.URL(_SETTINGS.mitto_base_url)
try:
    _TLS = httpx.create_ssl_context() if _MITTO.scheme == "https" else None
except OSError:
    _refuse_to_start("SSL_CERT_FILE or SSL_CERT_DIR names no readable certificates; correct it or leave it out")
_OUTPUT = standard_output()
_EMIT: Emit = emitter(_SETTINGS.log_level, _OUTPUT)

_REGIONS, _STORE = ",".join(sorted(_SETTINGS.allowed_regions)), _SETTINGS.store_url.partition(":")[0]
_EMIT({"severity": "INFO", "event": "started", "regions": _REGIONS or "*", "policy": _SETTINGS.policy_mode, "store": _STORE})
if not _REGIONS:
    _EMIT({"severity": "WARNING", "event": "all_regions_allowed", "setting": "ALLOWED_REGIONS"})
if _WITHOUT_SENDER := ",".join(_SETTINGS.regions_without_sender):
    _EMIT({"severity": "WARNING", "event": "sender_id_not_allowed", "setting": "SENDER_IDS", "regions": _WITHOUT_SENDER})
if _SETTINGS.mitto_test:
    _EMIT({"severity": "WARNING", "event": "test_mode", "setting": "MITTO_TEST"})
if _SETTINGS.test_numbers:
    _EMIT({"severity": "WARNING", "event": "test_numbers", "setting": "TEST_NUMBERS"})
if _IN_MEMORY and os.environ.get("WORKERS", "1") not in ("", "1"):
    _EMIT({"severity": "WARNING", "event": "workers_share_nothing", "setting": "STORE_URL"})
for _name, _successor in renamed(os.environ).items():
    _EMIT({"severity": "WARNING", "event": "renamed_setting", "setting": _name, "use": _successor})
for _name in unknown(os.environ):
    _EMIT({"severity": "WARNING", "event": "unknown_setting", "setting": _name})
install(_EMIT, response_to_unreadable)


def _access_tokens() -> Mapping[str, RotatingSecret[TokenRefusal]]:
    issuer = _SETTINGS.okta_issuer
    if not issuer:
        return {}
    # The package PyJWT is optional, and takes its time to load.
    from mitto_phone_hook.credentials.access_tokens import Expected, access_tokens, fetch_keys, keys_url  # noqa: PLC0415 - as said

    tls = _TLS or httpx.create_ssl_context()
    problem = {"severity": "ERROR", "event": "secret_unreadable", "setting": "OKTA_ISSUER"}
    expected = Expected(issuer, _SETTINGS.okta_audience, _SETTINGS.okta_scope)
    return {"okta": access_tokens(expected, lambda: fetch_keys(keys_url(issuer), tls), _in_thread, lambda: _EMIT(problem))}


_ACCESS_TOKENS = _access_tokens()


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer one call of the identity platform's hook: exactly one SMS through Mitto, or the reason why not. An ASGI application."""
    if scope["type"] != "http":
        raise ValueError("the function serves HTTP only")
    fields = [(name.lower(), value.strip()) for name, value in scope["headers"]]
    # The path as it was sent: what decides on paths in front of us reads it so.
    path, headers = scope["raw_path"].decode("latin-1"), dict(fields)
    names = repeated(fields) if len(headers) < len(fields) else ()
    call = Call(scope["method"], path, headers, _chunks(receive), names, query=scope["query_string"])
    response = await respond(call)
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    lines.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": lines})
    await send({"type": "http.response.body", "body": response.body})


async def respond(call: Call) -> Response:
    """Answer one call, without ASGI."""
    return await _hook().respond(call)


protocol = serving(_EMIT, respond, respond_to_refused=response_to_unreadable)
"""What uvicorn calls for each connection, where it serves the function without ASGI: see ``http_server``."""


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


@cache
def _hook() -> Hook:
    """Build on the first call: a thread or a connection from before the server forks would be dead or shared."""
    take_over_library_logs(_SETTINGS.log_level, _OUTPUT)
    # Imports stay, and a call leaves few reference cycles. Python's default, a collection every 700 objects, took a tenth of a
    # call's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    return Hook(_SETTINGS, _mitto(), _stores(), _EMIT, access_tokens=_ACCESS_TOKENS, cloud_project=project)


def _mitto() -> Mitto:
    return Mitto(
        OneOriginTransport(_MITTO, _TLS),
        _SETTINGS.mitto_api_key,
        base_url=_SETTINGS.mitto_base_url,
        connect_timeout_seconds=_SETTINGS.connect_timeout_seconds,
        is_test=_SETTINGS.mitto_test,
        callback=_SETTINGS.callback,
    )


def _stores() -> Stores:
    messages, calls = (kept_seconds(repeat, _SETTINGS.deadline_seconds) for repeat in (_SETTINGS.resend_after_seconds, CALL_SECONDS))
    if _IN_MEMORY:
        return Stores(MemoryIdempotencyStore(messages), MemoryIdempotencyStore(calls), MemoryCounterStore(), random_key())
    # The package redis is optional.
    from mitto_phone_hook.storage import redis_client, redis_counters, redis_idempotency, redis_records  # noqa: PLC0415 - as said

    problem = {"severity": "ERROR", "event": "store_unavailable", "setting": "STORE_URL"}
    client = redis_client.RedisClient(_SETTINGS.store_url, lambda: _EMIT(problem), queue_seconds=queue_seconds(_SETTINGS.deadline_seconds))
    counters = redis_counters.RedisCounterStore(client, is_closed_on_failure=_SETTINGS.limits_fail == CLOSED)
    key = state_key(_SETTINGS.state_secret, _SETTINGS.mitto_api_key.current(time.monotonic()))
    store, unsettled = redis_idempotency.RedisIdempotencyStore, redis_idempotency.Settlements(client, stores=2)
    records = redis_records.RedisRecordStore(client)
    return Stores(store(client, messages, unsettled), store(client, calls, unsettled), counters, key, records)
