"""What the fake Mitto remembers: accepted messages, counters, queued faults and reports."""

from collections import defaultdict, deque
from collections.abc import Callable

from mitto_phone_hook.sandbox.behaviours import Fault
from mitto_phone_hook.sandbox.faults import fault
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.reports import Reporter
from mitto_phone_hook.sandbox.rules import Message

INBOX_LIMIT = 100_000
"""Above this, the oldest messages are deleted."""


class State:
    """The inbox, the counters and the script. No I/O.

    ``requests`` counts each ``POST /sms.json`` whose head was read. ``connections`` counts accepted connections, without
    those that were only used for the control API. ``reports`` sends the delivery reports.
    """

    def __init__(self, on_message: Callable[[Message], object] | None = None) -> None:
        """Start empty. ``on_message`` is called with every message that goes into the inbox."""
        self.inbox: list[Message] = []
        self.requests = 0
        self.connections = 0
        self.test_messages = 0
        self.reports = Reporter()
        self._on_message = on_message
        self._queue: deque[Fault] = deque()
        self._by_recipient: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._default: Fault | None = None

    def script(self, *faults: str, recipient: str | None = None) -> None:
        """Queue faults. Each request uses one; with ``recipient`` (digits), only requests to this recipient.

        Order: the recipient's queue, the general queue, the default, the magic numbers.
        Raises UnknownFaultError; then nothing is queued.
        """
        found = [fault(name) for name in faults]
        queue = self._queue if recipient is None else self._by_recipient[recipient.removeprefix("+")]
        queue.extend(found)

    def script_forever(self, name: str | None) -> None:
        """Set the default: the fault of every request when none is queued. None: no default. Raises UnknownFaultError."""
        self._default = None if name is None else fault(name)

    def clear(self) -> None:
        """Delete everything: messages, counters and script."""
        self.clear_inbox()
        self.clear_script()

    def clear_inbox(self) -> None:
        """Delete the messages and reset the counters."""
        self.inbox.clear()
        self.requests = self.connections = self.test_messages = 0
        self.reports.sent = self.reports.failed = 0

    def clear_script(self) -> None:
        """Delete the queued faults and reports, and the defaults."""
        self._queue.clear()
        self._by_recipient.clear()
        self._default = None
        self.reports.clear_script()

    @property
    def is_next_before_read(self) -> bool:
        """Whether the next fault applies before the request is read."""
        following = self._queue[0] if self._queue else self._default
        return following is not None and following.is_before_read

    def pop_fault_before_read(self) -> Fault | None:
        """Remove and return the next fault if it applies before the request is read."""
        return self.pop_fault(None) if self.is_next_before_read else None

    def pop_fault(self, msisdn: str | None) -> Fault | None:
        """Remove and return the fault for a request to this recipient. None: no fault."""
        for queue in (self._by_recipient.get(msisdn or ""), self._queue):
            if queue:
                return queue.popleft()
        if self._default:
            return self._default
        magic = MAGIC_NUMBERS.get(msisdn or "")
        return fault(magic) if magic else None

    def add(self, message: Message) -> None:
        """Add a message to the inbox. A test message is only counted."""
        if message.test:
            self.test_messages += 1
            return
        self.inbox.append(message)
        del self.inbox[:-INBOX_LIMIT]
        if self._on_message:
            self._on_message(message)
