"""What only the memory store has: a limit on its memory."""

from mitto_phone_hook.storage.memory_idempotency import MAX_ENTRIES, MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import Entry


async def test_the_ledger_of_a_process_is_bounded() -> None:
    store = MemoryIdempotencyStore(600)
    for number in range(MAX_ENTRIES + 50):
        await store.claim(str(number), Entry("pending", "r"))
    assert len(store) == MAX_ENTRIES
    assert await store.claim(str(MAX_ENTRIES), Entry("pending", "r2")) is not None, "the youngest stays"


async def test_expired_entries_are_dropped() -> None:
    now = [0.0]
    store = MemoryIdempotencyStore(10, lambda: now[0])
    for number in range(100):
        await store.claim(str(number), Entry("pending", "r"))
    now[0] = 11
    await store.claim("new", Entry("pending", "r"))
    assert len(store) == 1
