"""One HTTP request in plain values, and a bounded read of its body."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from mitto_phone_hook.domain.outcome import Outcome, Refused


class Call(NamedTuple):
    """One HTTP request. ``chunks`` raises ``ConnectionError`` when the caller closes the connection."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    chunks: AsyncIterator[bytes]

    def __repr__(self) -> str:
        """Show no header, which may be a secret, and no path, which may hold one."""
        return f"Call({self.method!r})"


_LENGTH = re.compile(rb"[0-9]{1,15}")


async def read_body(call: Call, *, max_bytes: int, until: float) -> bytes:
    """Read the whole body, or raise ``Refused`` before it costs memory.

    A declared length over the limit is refused without reading. A body that is shorter or longer than
    declared, or that is not there when the event loop's clock shows ``until``, is not the message that was meant: ``invalid_json``.
    """
    headers = call.headers
    declared = headers.get(b"content-length")
    if declared is not None and (not _LENGTH.fullmatch(declared) or int(declared) > max_bytes):
        raise Refused(Outcome.BODY_TOO_LARGE, "declared_length")
    body = bytearray()
    try:
        async with asyncio.timeout_at(until):
            async for chunk in call.chunks:
                body += chunk
                if len(body) > max_bytes:
                    raise Refused(Outcome.BODY_TOO_LARGE, "read_length")
    except (ConnectionError, TimeoutError):
        raise Refused(Outcome.INVALID_JSON, "incomplete_body") from None
    if declared is not None and len(body) != int(declared):
        raise Refused(Outcome.INVALID_JSON, "length_mismatch")
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        raise Refused(Outcome.UNSUPPORTED_ENCODING, "compressed")
    if headers.get(b"content-type", b"").strip().lower().startswith(b"multipart/"):
        raise Refused(Outcome.UNSUPPORTED_ENCODING, "multipart")
    return bytes(body)
