"""One message to Mitto: tried again only while certainly nothing has been sent."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NamedTuple

from mitto_phone_hook.domain.deadline import RESERVE_SECONDS
from mitto_phone_hook.domain.outcome import Outcome, Result
from mitto_phone_hook.mitto.client import Mitto
from mitto_phone_hook.mitto.response_codes import MittoResult
from mitto_phone_hook.sms.compose import Sms
from mitto_phone_hook.sms.segments import Encoding, as_ucs2

PAUSE_SECONDS = 0.2
"""Between two attempts, unless Mitto names a longer time."""


class Sent(NamedTuple):
    """The last answer, how many attempts it took in how many seconds, and the SMS as it went out last."""

    answer: MittoResult
    attempts: int
    seconds: float
    sms: Sms

    @property
    def result(self) -> Result:
        """What this means for the hook call."""
        answer = self.answer
        return Result(
            answer.outcome,
            why=None if answer.outcome is Outcome.ACCEPTED else answer.why,
            message_id=answer.message_id,
            segments=self.sms.encoded.segments,
            retry_after_seconds=answer.retry_after_seconds,
        )


async def send(  # noqa: PLR0913 - all that it touches outside is an argument
    mitto: Mitto,
    sms: Sms,
    *,
    reference: str,
    until: float,
    max_attempts: int,
    max_segments: int,
    count: Callable[[int], Awaitable[None]],
    reserve_seconds: float = RESERVE_SECONDS,
) -> Sent:
    """Hand ``sms`` to Mitto before the event loop's clock shows ``until``.

    No attempt begins with less than ``reserve_seconds`` left. A further one follows when nothing was sent (after Mitto's
    ``Retry-After`` or a short pause, if that leaves time), once as Unicode when Mitto refuses the alphabet and ``max_segments``
    allow it, and once when the API key that Mitto refuses has been rotated meanwhile. Never when nobody can tell whether the SMS
    left. ``count`` is told how many segments the Unicode form has before it leaves, and raises ``Refused`` where they are too
    many for the operator.
    """
    clock = asyncio.get_running_loop().time
    started = perf_counter()
    latest = until - reserve_seconds
    answer = MittoResult(Outcome.UPSTREAM_UNAVAILABLE, "deadline")
    attempts = 0
    is_key_reread = False
    while clock() <= latest:
        attempts += 1
        key = mitto.key(clock())
        answer = await mitto.send(sms, reference=reference, until=until)
        if attempts >= max_attempts:
            break
        if answer.outcome is Outcome.UPSTREAM_UNAVAILABLE:
            pause = max(answer.retry_after_seconds or 0, PAUSE_SECONDS)
            if pause > latest - clock():
                break
            await asyncio.sleep(pause)
        elif answer.is_character_set_refused and sms.encoded.encoding is Encoding.GSM7:
            unicode = as_ucs2(sms.encoded.text)
            if unicode.segments > max_segments or clock() > latest:
                break
            await count(unicode.segments)
            if clock() > latest:
                break
            sms = sms._replace(encoded=unicode)
        elif answer.is_key_refused and not is_key_reread and await _is_key_rotated(mitto, key, latest):
            is_key_reread = True
        else:
            break
    return Sent(answer, attempts, perf_counter() - started, sms)


async def _is_key_rotated(mitto: Mitto, refused: str, latest: float) -> bool:
    """Look for another API key until ``latest``, when another attempt would have to begin."""
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout_at(latest):
            await mitto.reread_key(clock())
    except TimeoutError:
        return False
    return mitto.key(clock()) != refused
