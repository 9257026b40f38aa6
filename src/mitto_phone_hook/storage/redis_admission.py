"""Claiming and counting in Redis in one step: one script for all that one server decides about a message.

The formats are those of earlier versions, so old and new instances can share a Redis. An entry is JSON that begins with its state and its
owner. A window is a hash of time -> amount. Two more of its fields, ``-1`` for the sum and ``-2`` for the earliest time, save reading all
of it for every message. An earlier version takes them for times that are long over, and removes them; then the hash is read once.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from mitto_phone_hook.storage.protocols import Acquired, Charge, Refusal
from mitto_phone_hook.storage.redis_client import KEY_PREFIX, RedisClient, Unavailable

# KEYS: the entry, if there is one, then windows.
# ARGV: owner, or nothing without an entry; entry; how long it is kept, in ms; for how many ms a settled and a pending entry count; 1 if it
# is claimed also where a window is full. Then four a window: length in ms, limit, amount, step in ms.
#
# Another owner's entry is given with its age in ms, and so is a result of the same owner's: a claim that was long on its way must not make
# an SMS that has left one that is on its way.
#
# The sum may still hold what is over, for at most a hundredth of the window; before it refuses a message, it is made exact.
_ADMIT = """
local first = ARGV[1] == '' and 0 or 1
if first == 1 then
  local kept = redis.call('GET', KEYS[1])
  if kept then
    local is_pending = string.sub(kept, 1, 19) == '{"state": "pending"'
    if not is_pending or not string.find(kept, '"owner": "' .. ARGV[1] .. '"', 1, true) then
      local age = tonumber(ARGV[3]) - redis.call('PTTL', KEYS[1])
      if age <= tonumber(is_pending and ARGV[5] or ARGV[4]) then return string.format('held %.0f %s', age, kept) end
    end
  end
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local digits = string.format('%.0f', now)
local worst, longest, windows, reply = 0, -1, {}, {'counted ' .. digits}
for i = first + 1, #KEYS do
  local key, place = KEYS[i], 4 * (i - first) + 2
  local length, limit, amount, step = tonumber(ARGV[place+1]), tonumber(ARGV[place+2]), tonumber(ARGV[place+3]), tonumber(ARGV[place+4])
  local stamp, field = now, digits
  if step > 0 then
    stamp = math.ceil(now / step) * step
    field = string.format('%.0f', stamp)
  end
  local found = redis.call('HMGET', key, '-1', '-2', field)
  local sum, oldest, here, over = tonumber(found[1]), tonumber(found[2]), found[3], now - length
  local known_oldest = oldest
  local is_over = oldest and oldest <= over
  if not (sum and oldest) or (is_over and (step > 0 or oldest <= over - length / 100 or sum + amount > limit)) then
    local flat = redis.call('HGETALL', key)
    sum, oldest = 0, stamp
    for j = 1, #flat, 2 do
      local at = tonumber(flat[j])
      if at > over then
        sum, oldest = sum + tonumber(flat[j+1]), math.min(oldest, at)
      elseif at > 0 then
        redis.call('HDEL', key, flat[j])
      end
    end
  end
  local excess = sum + amount - limit
  if excess > 0 then
    local wait, kept = length, redis.call('HGET', key, string.format('%.0f', oldest))
    if kept and tonumber(kept) >= excess then
      wait = oldest + length - now
    else
      local flat, entries = redis.call('HGETALL', key), {}
      for j = 1, #flat, 2 do
        local at = tonumber(flat[j])
        if at > over then entries[#entries+1] = {at, tonumber(flat[j+1])} end
      end
      table.sort(entries, function(a, b) return a[1] < b[1] end)
      for _, entry in ipairs(entries) do
        excess = excess - entry[2]
        if excess <= 0 then wait = entry[1] + length - now; break end
      end
    end
    if wait > longest then worst, longest = i - first, wait end
  end
  local used = string.format('%.0f', sum + amount)
  oldest = math.min(oldest, stamp)
  windows[i] = {
    used, field, here and string.format('%.0f', here + amount) or ARGV[place+3], not here and length + step,
    oldest ~= known_oldest and string.format('%.0f', oldest)
  }
  reply[#reply+1] = used
end
local is_full = worst > 0
if first == 1 and (not is_full or ARGV[6] == '1') then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if is_full then return string.format('full %.0f %.0f', worst, longest) end
for i = first + 1, #KEYS do
  local used, field, amount, kept_ms, oldest = windows[i][1], windows[i][2], windows[i][3], windows[i][4], windows[i][5]
  if oldest then
    redis.call('HSET', KEYS[i], '-1', used, field, amount, '-2', oldest)
  else
    redis.call('HSET', KEYS[i], '-1', used, field, amount)
  end
  -- What comes later in the same step is over at the same time.
  if kept_ms then redis.call('PEXPIRE', KEYS[i], kept_ms) end
end
return table.concat(reply, ' ')
"""


class EntryClaim(NamedTuple):
    """The entry that one message is to get."""

    key: str
    owner: str
    written: str
    """The entry as it is kept."""
    kept_ms: int
    settled_ms: int
    pending_ms: int
    """For how long a settled and a pending entry of another owner count."""
    is_binding: bool = True
    """Whether a full window prevents it."""


class Held(NamedTuple):
    """The entry of another call, as it is kept, and its age."""

    written: str
    age_ms: int


Admitted = Held | Acquired | Refusal | Unavailable
"""What one server says. Without windows ``Acquired`` means that the message is claimed."""


async def admit(client: RedisClient, claim: EntryClaim | None, charges: Sequence[Charge], latest: float) -> Admitted:
    """Claim and count what has one slot. If its connection breaks, it is asked again: at worst one message is counted twice."""
    keys, arguments = [KEY_PREFIX + charge.key for charge in charges], list[str | int]()
    if claim is None:
        arguments += ("", "", 0, 0, 0, 0)
    else:
        keys.insert(0, name_of(claim))
        arguments += (claim.owner, claim.written, claim.kept_ms, claim.settled_ms, claim.pending_ms, int(not claim.is_binding))
    for charge in charges:
        arguments += (charge.window.seconds * 1000, charge.window.limit, charge.amount, charge.step_ms)
    try:
        said: str = await client.eval(_ADMIT, keys, arguments, latest=latest)
    except Unavailable as fault:
        return fault
    kind, first, *rest = said.split(" ", 2)
    if kind == "held":
        return Held(rest[0], int(first))
    if kind == "full":
        charge = charges[int(first) - 1]
        return Refusal(charge.name, charge.window.seconds, math.ceil(int(rest[0]) / 1000))
    return Acquired(charges, [int(first)] * len(charges), [int(used) for used in rest[0].split(" ")] if rest else [])


def name_of(item: EntryClaim | Charge) -> str:
    """Give the key in Redis."""
    return KEY_PREFIX + item.key
