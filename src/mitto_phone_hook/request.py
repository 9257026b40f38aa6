"""Taking the body off the wire: bounded, complete, not compressed."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

from mitto_phone_hook.domain.outcome import Outcome, Refused

_LENGTH = re.compile(rb"[0-9]{1,15}")


async def receive(headers: Mapping[bytes, bytes], chunks: AsyncIterator[bytes], *, max_bytes: int, until: float) -> bytes:
    """Read the whole body, or raise ``Refused`` before it costs memory.

    A declared length over the limit is refused without reading. A body that is shorter or longer than
    declared, or that is not there when the event loop's clock shows ``until``, is not the message that was meant: ``invalid_json``.
    """
    declared = headers.get(b"content-length")
    if declared is not None and (not _LENGTH.fullmatch(declared) or int(declared) > max_bytes):
        raise Refused(Outcome.BODY_TOO_LARGE, "declared_length")
    body = bytearray()
    try:
        async with asyncio.timeout_at(until):
            async for chunk in chunks:
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
