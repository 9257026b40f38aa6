"""One HTTP request in plain values, and a bounded read of its body."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused

_LENGTH = re.compile(rb"[0-9]{1,15}")


class Call(NamedTuple):
    """One HTTP request. ``chunks`` raises ``ConnectionError`` when the caller closes the connection."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    chunks: AsyncIterator[bytes]
    repeated: Collection[bytes] = ()
    """Names of headers that came more than once; ``headers`` has the last value."""
    query: bytes = b""
    """What follows the question mark, as sent."""
    body: bytes | None = None
    """The whole body, where it came with the head; then ``chunks`` is not read."""

    def __repr__(self) -> str:
        """Leave out headers, path and query: all may hold a secret."""
        return f"Call({self.method!r})"


def repeated(fields: list[tuple[bytes, bytes]]) -> Collection[bytes]:
    """Give the names that ``fields`` has more than once."""
    names = [name for name, _ in fields]
    return {name for name in names if names.count(name) > 1}


async def read_body(call: Call, *, max_bytes: int, until: float) -> bytes:
    """Read the whole body, but no more than ``max_bytes``. Raises ``Refused``.

    A declared length over the limit is refused without reading. A body is ``invalid_json`` when it is shorter or longer than
    declared, or when it is incomplete as the event loop's clock shows ``until``.
    """
    headers = call.headers
    declared = headers.get(b"content-length")
    if declared is not None and (not _LENGTH.fullmatch(declared) or int(declared) > max_bytes):
        raise Refused(Outcome.BODY_TOO_LARGE, "declared_length")
    body = await _read_chunks(call.chunks, max_bytes, until) if call.body is None else call.body
    if len(body) > max_bytes:
        raise Refused(Outcome.BODY_TOO_LARGE, "read_length")
    if declared is not None and len(body) != int(declared):
        raise Refused(Outcome.INVALID_JSON, "length_mismatch")
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        raise Refused(Outcome.UNSUPPORTED_ENCODING, "compressed")
    if headers.get(b"content-type", b"").strip().lower().startswith(b"multipart/"):
        raise Refused(Outcome.UNSUPPORTED_ENCODING, "multipart")
    return body


async def _read_chunks(chunks: AsyncIterator[bytes], max_bytes: int, until: float) -> bytes:
    """Read to the end, or until there is more than ``max_bytes``. Raises ``Refused`` where the end does not come."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(until):
            async for chunk in chunks:
                body += chunk
                if len(body) > max_bytes:
                    break
    except (ConnectionError, TimeoutError):
        raise Refused(Outcome.INVALID_JSON, "incomplete_body") from None
    return bytes(body)
