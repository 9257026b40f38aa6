"""A minimal HTTP/1.1 for a relay and a stub: reads messages with a Content-Length from a stream of bytes."""

import re

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Messages:
    """Collects bytes and returns the bodies of complete messages."""

    def __init__(self) -> None:
        """Start empty."""
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add ``data``. Returns the body of every message that is now complete."""
        self._buffer += data
        bodies = []
        while (head_end := self._buffer.find(_END_OF_HEAD)) >= 0:
            length = _LENGTH.search(self._buffer, 0, head_end)
            end = head_end + len(_END_OF_HEAD) + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                break
            bodies.append(self._buffer[head_end + len(_END_OF_HEAD) : end])
            self._buffer = self._buffer[end:]
        return bodies


def response(body: bytes) -> bytes:
    """Return a whole response with status 200."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
