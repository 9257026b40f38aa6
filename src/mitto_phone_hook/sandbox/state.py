"""What the fake Mitto remembers: the messages it took, what it saw, and the faults that are to come."""

from collections import defaultdict, deque
from collections.abc import Callable

from mitto_phone_hook.sandbox.behaviours import Fault
from mitto_phone_hook.sandbox.faults import fault
from mitto_phone_hook.sandbox.magic import MAGIC_NUMBERS
from mitto_phone_hook.sandbox.rules import Message

INBOX_LIMIT = 100_000
"""The oldest messages beyond it are forgotten."""


class State:
    """The inbox, the counters and the script. No input, no output.

    ``requests`` counts the ``POST /sms.json`` whose head was read, ``connections`` those accepted, without those that
    only came for the control API.
    """

    def __init__(self, on_message: Callable[[Message], object] | None = None) -> None:
        """Begin with nothing; ``on_message`` is called with every message that goes into the inbox."""
        self.inbox: list[Message] = []
        self.requests = 0
        self.connections = 0
        self.test_messages = 0
        self._on_message = on_message
        self._queue: deque[Fault] = deque()
        self._by_recipient: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._default: Fault | None = None

    def script(self, *faults: str, recipient: str | None = None) -> None:
        """Queue faults: each request takes one, or each request to ``recipient`` (digits).

        The queue of a recipient goes before the general one, that before the default and the magic numbers.
        Raises UnknownFaultError and then queues nothing.
        """
        found = [fault(name) for name in faults]
        queue = self._queue if recipient is None else self._by_recipient[recipient.removeprefix("+")]
        queue.extend(found)

    def script_forever(self, name: str | None) -> None:
        """Answer every request with this fault unless one is queued; None ends that. Raises UnknownFaultError."""
        self._default = None if name is None else fault(name)

    def clear(self) -> None:
        """Forget everything: messages, counters and script."""
        self.clear_inbox()
        self.clear_script()

    def clear_inbox(self) -> None:
        """Forget the messages and set the counters to zero."""
        self.inbox.clear()
        self.requests = self.connections = self.test_messages = 0

    def clear_script(self) -> None:
        """Forget the faults that are to come, and the default."""
        self._queue.clear()
        self._by_recipient.clear()
        self._default = None

    @property
    def is_next_before_read(self) -> bool:
        """Whether the next request is to be struck before it is read."""
        upcoming = self._queue[0] if self._queue else self._default
        return upcoming is not None and upcoming.is_before_read

    def take_before_read(self) -> Fault | None:
        """Take the next fault if it is one that strikes before the request is read."""
        return self.take(None) if self.is_next_before_read else None

    def take(self, msisdn: str | None) -> Fault | None:
        """Take the fault for a request to that recipient; None: behave well."""
        for queue in (self._by_recipient.get(msisdn or ""), self._queue):
            if queue:
                return queue.popleft()
        if self._default:
            return self._default
        magic = MAGIC_NUMBERS.get(msisdn or "")
        return fault(magic) if magic else None

    def keep(self, message: Message) -> None:
        """Put a message into the inbox; one in test mode is only counted."""
        if message.test:
            self.test_messages += 1
            return
        self.inbox.append(message)
        del self.inbox[:-INBOX_LIMIT]
        if self._on_message:
            self._on_message(message)
