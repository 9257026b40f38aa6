"""The deadline of a call: what must be left of it for something to begin.

A deadline is a time on the event loop's clock, called ``until`` everywhere.
"""

RESERVE_SECONDS = 0.5
"""What must be left when an attempt at a message begins: one with less would only be cut."""

_SHARE = 0.25


def reserve_seconds(deadline_seconds: float) -> float:
    """Give ``RESERVE_SECONDS``, or a quarter of a deadline that is shorter than two seconds."""
    return min(RESERVE_SECONDS, deadline_seconds * _SHARE)


def queue_seconds(deadline_seconds: float) -> float:
    """Give how long one question to a shared store may wait in line: a message asks twice before it is sent."""
    return deadline_seconds * _SHARE
