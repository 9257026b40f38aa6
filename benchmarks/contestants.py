"""The contestants: the function, its peers and the floors, and how each is started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.configuration import API_KEY, FUNCTION_SETTINGS, SHORT_WINDOWS
from benchmarks.nginx import write_relay
from benchmarks.running import CACHE, HOST, ROOT, inherited_environment

NODE = CACHE / "node"
PRODUCTION = CACHE / "production"
"""A virtual environment with the packages of a deployment."""
PYTHON = PRODUCTION / "bin" / "python"
_PEERS = Path(__file__).parent / "peers"

Command = Callable[[int, str], list[str]]
"""Makes a command line from a port and an upstream."""


@dataclass(frozen=True)
class Contestant:
    """One server under test."""

    name: str
    title: str
    command: Command
    settings: Mapping[str, str]
    folder: Path = ROOT
    has_tls: bool = True
    is_main: bool = True
    """Whether it takes part in quick runs, and in the load with the most calls in flight."""
    has_delay: bool = True
    """Whether it is measured with an upstream that takes time."""
    path: str = "/"
    """Where wrk's calls go."""
    has_redis: bool = False
    """Whether it gets a Redis on this machine."""

    def environment(self, upstream: str, authority: Path | None = None) -> dict[str, str]:
        """Return the environment with Mitto's URL and, for TLS, the certificate authority."""
        trust = {"SSL_CERT_FILE": str(authority), "NODE_EXTRA_CA_CERTS": str(authority)} if authority else {}
        return inherited_environment() | dict(self.settings) | {"MITTO_BASE_URL": upstream} | trust


def _python(source: Path, target: str) -> Command:
    program = str(PYTHON.with_name("functions-framework"))
    return lambda port, _: [program, "--source", str(source), "--target", target, "--host", HOST, "--port", str(port)]


def _run(port: int, _: str) -> list[str]:
    return [str(PYTHON), "-m", "mitto_phone_hook.cli", "run", "--host", HOST, "--port", str(port)]


def _bare(port: int, _: str) -> list[str]:
    return [str(PYTHON), "-m", "benchmarks.peers.bare_handler", str(port)]


def _node(target: str) -> Command:
    program = str(NODE / "node_modules" / ".bin" / "functions-framework")
    return lambda port, _: [program, f"--target={target}", f"--port={port}"]


def _nginx(port: int, upstream: str) -> list[str]:
    return write_relay(CACHE / "nginx-relay", port, upstream.removeprefix("http://"), API_KEY)


def _relay(port: int, _: str) -> list[str]:
    return [str(PYTHON), "-m", "benchmarks.peers.asyncio_relay", str(port)]


_KEY = {"MITTO_API_KEY": API_KEY}
_NODE_SETTINGS = _KEY | {"NODE_ENV": "production", "HOST": HOST}

_SOURCES = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}

OURS = Contestant("ours", "this function, everything on", _run, FUNCTION_SETTINGS | _SOURCES)
PLATFORM = replace(
    OURS,
    name="ours_platform",
    title="the same, Supabase's calls and a template",
    settings=FUNCTION_SETTINGS | _SOURCES | {"APP_NAME": "Example"},
    has_delay=False,
    path="/hooks/supabase",
)
REDIS = replace(
    OURS,
    name="ours_redis",
    title="the same with Redis on loopback",
    settings=FUNCTION_SETTINGS | _SOURCES | {"WORKERS": "1"},
    has_delay=False,
    has_redis=True,
)
FRAMEWORK = replace(
    OURS,
    name="ours_framework",
    title="the same under functions-framework",
    command=_python(ROOT / "src" / "main.py", "send_phone_message"),
    settings=FUNCTION_SETTINGS,
    has_tls=False,
    has_delay=False,
)
SHORT = replace(OURS, name="ours_short", title="this function, short windows", settings=FUNCTION_SETTINGS | _SOURCES | SHORT_WINDOWS)
KEPT = Contestant("node_kept", "(b) Node, axios, kept connections", _node("kept_connection"), _NODE_SETTINGS, NODE)
NEW = Contestant("node_new", "(a) Node, axios, a connection per call", _node("new_connection"), _NODE_SETTINGS, NODE, is_main=False)
SYNC = Contestant("python_sync", "(c) Python, httpx, synchronous", _python(_PEERS / "sync_httpx.py", "relay"), _KEY, is_main=False)
ASYNC = Contestant("python_async", "(c) Python, httpx, asynchronous", _python(_PEERS / "async_httpx.py", "relay"), _KEY, is_main=False)
BARE = Contestant("bare_handler", "our server and transport, bare handler", _bare, _KEY | _SOURCES)
HTTPCORE = replace(
    BARE,
    name="bare_httpcore",
    title="httpcore as transport, bare handler",
    settings=_KEY | _SOURCES | {"TRANSPORT": "httpcore"},
    has_tls=False,
    is_main=False,
)
RELAY = Contestant("asyncio_relay", "(d) floor: bare asyncio relay", _relay, _KEY, has_tls=False)
NGINX = Contestant("nginx", "(d) floor: nginx proxy_pass", _nginx, {}, has_tls=False, is_main=False)

ALL = (OURS, PLATFORM, REDIS, FRAMEWORK, KEPT, BARE, HTTPCORE, RELAY, NEW, SYNC, ASYNC, NGINX)
"""In the order of the tables."""

DIRECT = "direct"
"""The name of the load that goes directly to the stub, without a server."""

TITLES = {one.name: one.title for one in (*ALL, SHORT)} | {DIRECT: "the stub itself, nothing between"}
