"""The way to Mitto, step by step: name, connection, TLS. The same steps as the function's, each timed."""

import contextlib
import ipaddress
import socket
import ssl
import time

import httpx

from mitto_phone_hook.cli.report import Line, Mark, milliseconds

PATIENCE_SECONDS = 5.0
"""Longer than ``CONNECT_TIMEOUT_SECONDS`` is by default, to tell slow from gone."""

_REFUSED = "does the base URL name the right port?"
_SILENT = "may this machine reach it (egress rules, firewall)? Mitto may also be silent to addresses that it does not know"


class NoWay(Exception):  # noqa: N818 - a finding, not an error
    """Ends the walk; the line says where."""

    def __init__(self, line: Line) -> None:
        """Take what is to be shown."""
        super().__init__(line.text)
        self.line = line


def resolve(url: httpx.URL) -> Line:
    """Look up the name of Mitto's host. Raises ``NoWay``."""
    started = time.perf_counter()
    try:
        found = socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        text = f"{url.host} does not resolve"
        raise NoWay(Line(Mark.WRONG, "name", text, "correct MITTO_BASE_URL, or the DNS of this network")) from None
    number = len({address[0] for *_, address in found})
    took = milliseconds(time.perf_counter() - started)
    return Line(Mark.RIGHT, "name", f"{url.host}, {number} address{'' if number == 1 else 'es'}, in {took}")


def connect(url: httpx.URL, *, timeout_seconds: float, patience_seconds: float = PATIENCE_SECONDS) -> Line:
    """Connect as the function would, which gives each step ``timeout_seconds``. Raises ``NoWay``."""
    # Reading all authorities takes longer than a handshake; the function does it once.
    tls = httpx.create_ssl_context() if url.scheme == "https" else None
    started = time.perf_counter()
    try:
        with socket.create_connection((url.host, _port(url)), patience_seconds) as connection:
            tcp_seconds = time.perf_counter() - started
            if tls is None:
                return _line(tcp_seconds, None, "no TLS, on this machine", timeout_seconds)
            with tls.wrap_socket(connection, server_hostname=url.host) as secured:
                tls_seconds = time.perf_counter() - started - tcp_seconds
                return _line(tcp_seconds, tls_seconds, secured.version() or "TLS", timeout_seconds)
    except ssl.SSLCertVerificationError:
        step = "does a proxy open TLS here? Then its authority belongs into SSL_CERT_FILE; else do not send anything there"
        raise NoWay(Line(Mark.WRONG, "connection", "the certificate is not trusted", step)) from None
    except TimeoutError:
        raise NoWay(Line(Mark.WRONG, "connection", f"no answer in {patience_seconds:g} s", _SILENT)) from None
    except ConnectionRefusedError:
        raise NoWay(Line(Mark.WRONG, "connection", "refused", _REFUSED)) from None
    except OSError:
        raise NoWay(Line(Mark.WRONG, "connection", "broken off", _SILENT)) from None


def source_of(url: httpx.URL) -> str | None:
    """Give our own address on the way to Mitto, also where Mitto does not answer; nothing is sent. ``None`` without a way."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe, contextlib.suppress(OSError):
                probe.connect(address)
                source: str = probe.getsockname()[0]
                return source
    except OSError:
        pass
    return None


def _line(tcp_seconds: float, tls_seconds: float | None, what: str, timeout_seconds: float) -> Line:
    text = f"TCP {milliseconds(tcp_seconds)}, {what}" + (f" {milliseconds(tls_seconds)}" if tls_seconds is not None else "")
    if max(tcp_seconds, tls_seconds or 0) >= timeout_seconds:
        return Line(Mark.WRONG, "connection", text, f"the function gives up after {timeout_seconds:g} s: raise CONNECT_TIMEOUT_SECONDS")
    return Line(Mark.RIGHT, "connection", text)


def egress_line(source: str, *, is_taken: bool) -> Line:
    """Say which address Mitto has to know; ``is_taken`` when it has just taken a call from here."""
    address = ipaddress.ip_address(source.partition("%")[0])
    if address.is_loopback:
        return Line(Mark.RIGHT, "egress IP", "none: this Mitto is on this machine")
    proof = ("Mitto takes calls from there; another machine has another address",) if is_taken else ()
    mark = Mark.RIGHT if is_taken else Mark.LOOK
    if address.is_global:
        step = f'have Mitto register {source}, or ask for "no IP restriction"'
        return Line(mark, "egress IP", f"{source}, if the function runs on this machine", "" if is_taken else step, proof)
    text = f"{source} is private: Mitto sees the public address of the NAT gateway before it"
    step = "find that address where the function runs (docs/operations.md, Egress address), and have Mitto register it"
    return Line(mark, "egress IP", text, "" if is_taken else step, proof)


def _port(url: httpx.URL) -> int:
    return url.port or {"https": 443, "http": 80}[url.scheme]
