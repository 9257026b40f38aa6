"""Tests the connection to Mitto in the function's own steps: DNS, TCP, TLS. Each step is timed."""

import contextlib
import ipaddress
import socket
import ssl
import time

import httpx

from mitto_phone_hook.cli.report import Line, Mark, milliseconds

MAX_WAIT_SECONDS = 5.0
"""Longer than the default of ``CONNECT_TIMEOUT_SECONDS``, to distinguish a slow Mitto from an unreachable one."""

_CHECK_PORT = "is the port in MITTO_BASE_URL right?"
_CHECK_EGRESS = "check egress rules and firewall; Mitto may also ignore IP addresses that it does not know"


class ProbeFailed(Exception):  # noqa: N818 - a finding, not an error
    """A step failed. The line says which one and why."""

    def __init__(self, line: Line) -> None:
        """Take the line to show."""
        super().__init__(line.text)
        self.line = line


def resolve(url: httpx.URL) -> Line:
    """Look up the name of Mitto's host. Raises ``ProbeFailed``."""
    started = time.perf_counter()
    try:
        found = socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        text = f"{url.host} does not resolve"
        raise ProbeFailed(Line(Mark.ERROR, "name", text, "correct MITTO_BASE_URL, or fix the DNS of this network")) from None
    number = len({address[0] for *_, address in found})
    duration = milliseconds(time.perf_counter() - started)
    return Line(Mark.OK, "name", f"{url.host}, {number} address{'' if number == 1 else 'es'}, in {duration}")


def connect(url: httpx.URL, *, timeout_seconds: float, max_wait_seconds: float = MAX_WAIT_SECONDS) -> Line:
    """Connect as the function does, with ``timeout_seconds`` for each step. Raises ``ProbeFailed``."""
    # Loading all certificate authorities takes longer than a handshake. The function does it only once.
    tls = httpx.create_ssl_context() if url.scheme == "https" else None
    started = time.perf_counter()
    try:
        with socket.create_connection((url.host, _port(url)), max_wait_seconds) as connection:
            tcp_seconds = time.perf_counter() - started
            if tls is None:
                return _line(tcp_seconds, None, "no TLS (loopback)", timeout_seconds)
            with tls.wrap_socket(connection, server_hostname=url.host) as secured:
                tls_seconds = time.perf_counter() - started - tcp_seconds
                return _line(tcp_seconds, tls_seconds, secured.version() or "TLS", timeout_seconds)
    except ssl.SSLCertVerificationError:
        step = "does a proxy decrypt TLS here? Then put its certificate authority into SSL_CERT_FILE; if not, send nothing to this address"
        raise ProbeFailed(Line(Mark.ERROR, "connection", "the certificate is not trusted", step)) from None
    except TimeoutError:
        raise ProbeFailed(Line(Mark.ERROR, "connection", f"no response in {max_wait_seconds:g} s", _CHECK_EGRESS)) from None
    except ConnectionRefusedError:
        raise ProbeFailed(Line(Mark.ERROR, "connection", "refused", _CHECK_PORT)) from None
    except OSError:
        raise ProbeFailed(Line(Mark.ERROR, "connection", "failed", _CHECK_EGRESS)) from None


def local_address(url: httpx.URL) -> str | None:
    """Return our own IP address towards Mitto, also when Mitto does not respond. Sends nothing. ``None``: there is no route."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_DGRAM):
            with socket.socket(family, kind) as connection, contextlib.suppress(OSError):
                connection.connect(address)
                local: str = connection.getsockname()[0]
                return local
    except OSError:
        pass
    return None


def _line(tcp_seconds: float, tls_seconds: float | None, tls: str, timeout_seconds: float) -> Line:
    text = f"TCP {milliseconds(tcp_seconds)}, {tls}" + (f" {milliseconds(tls_seconds)}" if tls_seconds is not None else "")
    if max(tcp_seconds, tls_seconds or 0) >= timeout_seconds:
        return Line(Mark.ERROR, "connection", text, f"the function stops after {timeout_seconds:g} s: raise CONNECT_TIMEOUT_SECONDS")
    return Line(Mark.OK, "connection", text)


def egress_line(local: str, *, is_accepted: bool) -> Line:
    """Say which IP address Mitto must know. ``is_accepted``: Mitto has just accepted a call from here."""
    address = ipaddress.ip_address(local.partition("%")[0])
    if address.is_loopback:
        return Line(Mark.OK, "egress IP", "not needed: this Mitto is on this machine")
    proof = ("Mitto accepts calls from it; another machine has another address",) if is_accepted else ()
    mark = Mark.OK if is_accepted else Mark.WARNING
    if address.is_global:
        step = f'ask Mitto to register {local}, or for "no IP restriction"'
        return Line(mark, "egress IP", f"{local}, if the function runs on this machine", "" if is_accepted else step, proof)
    text = f"{local} is private: Mitto sees the public address of the NAT gateway"
    step = "find that address (docs/deploy.md, Egress address) and ask Mitto to register it"
    return Line(mark, "egress IP", text, "" if is_accepted else step, proof)


def _port(url: httpx.URL) -> int:
    return url.port or {"https": 443, "http": 80}[url.scheme]
