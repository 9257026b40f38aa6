"""The two stubs of Mitto: nginx responds at once, the asyncio stub after a delay. Both count."""

import contextlib
import http.client
import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.nginx import write_stub
from benchmarks.running import HOST, free_port, inherited_environment, run_tool, running, wait_for_port


class Counts(NamedTuple):
    """What has reached a stub since its start."""

    connections: int
    requests: int


class Upstream(Protocol):
    """A server that responds like Mitto."""

    @property
    def url(self) -> str:
        """The base URL."""

    def counts(self) -> Counts:
        """Return the counters."""


class NginxStub:
    """Responds at once. ``counts`` uses one connection that stays open, so that reading the counters opens none."""

    def __init__(self, port: int, tls_port: int, authority: Path) -> None:
        """Take the ports and the certificate to trust."""
        self.url = f"http://{HOST}:{port}"
        self.tls_url = f"https://localhost:{tls_port}"
        self.authority = authority
        self._port = port
        self._probe = http.client.HTTPConnection(HOST, port, timeout=10)
        self._probes = 0

    def counts(self) -> Counts:
        """Return the counters without the effect of this method."""
        self._probe.request("GET", "/status")
        page = self._probe.getresponse().read().decode()
        self._probes += 1
        accepted, _, requests = re.findall(r"[0-9]+", page)[1:4]
        return Counts(int(accepted) - 1, int(requests) - self._probes)


class TlsSide:
    """The same nginx behind TLS."""

    def __init__(self, stub: NginxStub) -> None:
        """Share the counters."""
        self.url = stub.tls_url
        self.counts = stub.counts


class DelayStub:
    """Responds after the delay of ``set_delay`` in milliseconds; without it at once."""

    def __init__(self, port: int, control: socket.socket) -> None:
        """Take the open control connection."""
        self.url = f"http://{HOST}:{port}"
        self._control = control.makefile("rwb")

    def set_delay(self, milliseconds: int) -> None:
        """Set the delay of all requests from now on."""
        self._ask(str(milliseconds))

    def counts(self) -> Counts:
        """Return the counters."""
        counters = self._ask("?")
        return Counts(counters["connections"], counters["requests"])

    def most_in_flight(self) -> int:
        """Return the maximum of simultaneous requests since the delay was set."""
        return self._ask("?")["most_in_flight"]

    def _ask(self, line: str) -> dict[str, int]:
        self._control.write(line.encode() + b"\n")
        self._control.flush()
        counters: dict[str, int] = json.loads(self._control.readline())
        return counters


@contextlib.contextmanager
def nginx_stub(folder: Path, core: int) -> Iterator[NginxStub]:
    """Run the nginx stub."""
    port, tls_port = free_port(), free_port()
    command = write_stub(folder, port, tls_port)
    authority = _make_certificates(folder)
    with running(command, port, core, inherited_environment()) as server:
        wait_for_port(server)
        # nginx has counted this first connection, too. Only differences of the counters matter.
        yield NginxStub(port, tls_port, authority)


@contextlib.contextmanager
def delay_stub(core: int) -> Iterator[DelayStub]:
    """Run the stub that waits."""
    port, control_port = free_port(), free_port()
    command = [sys.executable, "-m", "benchmarks.delay_stub", str(port), str(control_port)]
    with running(command, control_port, core, inherited_environment()) as server:
        wait_for_port(server)
        with socket.create_connection((HOST, control_port), timeout=10) as control:
            yield DelayStub(port, control)


def _make_certificates(folder: Path) -> Path:
    """Make a certificate authority and a certificate for loopback, for this run. Returns the authority's certificate."""
    authority, request = folder / "authority.pem", folder / "server.csr"
    key, authority_key = folder / "server.key", folder / "authority.key"
    names = folder / "names.cnf"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    signed = ["-CA", str(authority), "-CAkey", str(authority_key), "-CAcreateserial", "-days", "2", "-extfile", str(names)]
    subject = "/CN=Authority of the benchmarks"
    for command in (
        ["req", "-x509", *new_key, "-keyout", str(authority_key), "-out", str(authority), "-days", "2", "-subj", subject],
        ["req", *new_key, "-keyout", str(key), "-out", str(request), "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", str(request), "-out", str(folder / "server.pem"), *signed],
    ):
        run_tool(["openssl", *command], timeout=30)
    return authority
