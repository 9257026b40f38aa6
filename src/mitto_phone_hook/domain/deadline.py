"""How a call's time is divided. Its deadline, a time on the event loop's clock, is called ``until`` everywhere."""

RESERVE_SECONDS = 0.5
"""An attempt that begins with less time than this before the deadline would only be cut off."""

_SHARE = 0.25


def reserve_seconds(deadline_seconds: float) -> float:
    """Give ``RESERVE_SECONDS``, or a quarter of a deadline that is shorter than two seconds."""
    return min(RESERVE_SECONDS, deadline_seconds * _SHARE)


def queue_seconds(deadline_seconds: float) -> float:
    """Give how long a request to a shared store may wait for a connection. A message needs two requests before it is sent."""
    return deadline_seconds * _SHARE
