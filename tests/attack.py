"""SMS pumping, replayed: 10,000 requests for adjacent numbers in 20 blocks from 50 addresses, among some 830 honest users.

``python tests/attack.py`` plays the same hours with protection off, observing and on, and tells how many SMS and how
much money each side cost. It fails when an honest user lost a code, when the attacker got 2 % or more of what it
asked for, or when observing refused something or did not foretell what protection refuses. Then it plays them with other
limits than the defaults, to show why the defaults are what they are.

Many of the honest users share what the limits count: an address behind a carrier's NAT, a block of numbers, an IPv6 network.

The hook runs in this process, with a clock of ours and a function in Mitto's place: nothing is sent to anybody.
"""

import argparse
import asyncio
import ipaddress
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import httpx

from mitto_phone_hook.config.limit_rules import DEFAULTS
from mitto_phone_hook.config.settings import load
from mitto_phone_hook.domain.message import PhoneMessage
from mitto_phone_hook.hook import Hook, Stores
from mitto_phone_hook.policy.limits import Limits
from mitto_phone_hook.request import Call
from mitto_phone_hook.storage.memory_counters import MemoryCounterStore
from mitto_phone_hook.storage.memory_idempotency import MemoryIdempotencyStore
from mitto_phone_hook.storage.protocols import Charge
from support.messages import mitto_over
from support.numbers import fictional_numbers

REQUESTS = 10_000
BLOCKS = 20
ADDRESSES = 50
HONEST_USERS = 500
HONEST_ABROAD = 50
CARRIER_USERS = 60
HANDSETS = 150
EMPLOYEES = 80
AGENTS = 45
MOST_CODES = 3
HOUR = 3600.0
HOURS = 6
ATTACK_BEGINS = 2 * HOUR
MOST_SHARE = 0.02

HONEST, ATTACKER = "honest", "attacker"
OFF, OBSERVE, ON = "off", "observe", "on"
MODES: Mapping[str, Mapping[str, str]] = {OFF: {"LIMITS": "off"}, OBSERVE: {"POLICY_MODE": "observe"}, ON: {}}
"""Protection, and the settings that make it; ``on`` is what everybody gets."""

PRICES = {"+1": Decimal("0.008"), "+994": Decimal("0.25")}
"""Example prices of a segment in EUR, by calling code: North America and Azerbaijan, a cheap place and a dear one."""

PRICES_CSV = f"region,price\nAZ,{PRICES['+994']}\n*,{PRICES['+1']}\n"

SECRET = "bearer-secret-of-the-replay-0001"
ENVIRONMENT = {
    "MITTO_API_KEY": "key-of-the-replay",
    "HOOK_SECRETS": SECRET,
    "MITTO_BASE_URL": "http://127.0.0.1:9",
    # At home in the US, open to the world: what a limit must hold that the list of countries does not.
    "ALLOWED_REGIONS": "US,*",
}
ATTACKERS = [f"203.0.113.{last}" for last in range(1, ADDRESSES + 1)]
CANADIAN_AREAS = (204, 226, 236, 249, 250, 289, 306, 343, 365, 403)


class Request(NamedTuple):
    """Somebody asks for a code: at that second, for that number, from that address."""

    at: float
    side: str
    number: str
    ip: str


class Attack(NamedTuple):
    """What the attacker does: ``blocks`` of adjacent numbers, from ``ATTACK_BEGINS`` on for so many ``seconds``."""

    name: str
    blocks: Sequence[Sequence[str]]
    seconds: float
    settings: Mapping[str, str] = {}
    """What the operator has set against it, beyond the defaults."""
    addresses: Sequence[str] = ATTACKERS


class Candidate(NamedTuple):
    """Limits that might be the defaults."""

    rules: str
    is_prefix_for_all: bool = False
    """Whether the limit per block holds at home, too, as it did once."""

    @property
    def is_default(self) -> bool:
        """Whether these are the defaults."""
        return not self.is_prefix_for_all and set(self.rules.split("; ")) <= set(DEFAULTS.split("; "))


CANDIDATES = (
    Candidate("prefix=20/hour; ip=10/hour", is_prefix_for_all=True),
    Candidate("prefix=20/hour; ip=50/hour", is_prefix_for_all=True),
    Candidate("prefix=100/hour; ip=50/hour", is_prefix_for_all=True),
    Candidate("prefix=20/hour; ip=10/hour"),
    Candidate("prefix=20/hour; ip=50/hour"),
    Candidate("prefix=20/hour; ip=100/hour"),
)
"""The first were the defaults before there was a limit per IPv6 /48, the last but one are those of now."""


class PrefixForAll(Limits):
    """The limit per block in every region, also in those that the operator named."""

    def charges(self, message: PhoneMessage, segments: int, key: bytes) -> list[Charge]:
        """See ``Limits``."""
        by_block = [one for one in Limits.charges(self._without_home, message, segments, key) if one.name == "prefix"]
        return list(dict.fromkeys([*super().charges(message, segments, key), *by_block]))

    @cached_property
    def _without_home(self) -> Limits:
        return replace(self, home_regions=frozenset())


@dataclass
class Side:
    """What one side asked for and what it got."""

    requests: int = 0
    sms: int = 0
    money: Decimal = Decimal(0)
    refused_by: Counter[str] = field(default_factory=Counter)
    """Rules that refused, or in observe mode would have."""

    @property
    def share(self) -> float:
        return self.sms / self.requests


Sides = Mapping[str, Side]


class Replay:
    """Plays requests to a hook of its own, as fast as it can, on a clock that follows them."""

    def __init__(self, settings: Mapping[str, str], *, is_prefix_for_all: bool = False) -> None:
        self.sides: Sides = {HONEST: Side(), ATTACKER: Side()}
        self._is_prefix_for_all = is_prefix_for_all
        self._now = 0.0
        self._began = time.time()
        self._side = self.sides[HONEST]
        self._hook = self._make_hook(settings)

    def _make_hook(self, settings: Mapping[str, str]) -> Hook:
        """Build the hook as ``function.py`` does, with our clock and our Mitto."""
        loaded = load({**ENVIRONMENT, **settings}, read_file=lambda _: PRICES_CSV)
        if self._is_prefix_for_all:
            # No setting gives these limits any more: they take the place in which the property keeps its value.
            quotas = loaded.quotas
            vars(loaded)["quotas"] = PrefixForAll(**{one.name: getattr(quotas, one.name) for one in fields(quotas)})
        return Hook(
            loaded,
            mitto_over(httpx.MockTransport(self._mitto), loaded),
            Stores(
                MemoryIdempotencyStore(600, self._clock),
                MemoryIdempotencyStore(600, self._clock),
                MemoryCounterStore(self._clock),
                b"key of the tests",
            ),
            self._log,
            wall_clock=lambda: self._began + self._now,
        )

    async def play(self, requests: Sequence[Request]) -> Sides:
        for number, request in enumerate(requests):
            self._now = request.at
            self._side = self.sides[request.side]
            self._side.requests += 1
            code = f"{100_000 + number}"
            body = {"recipient": request.number, "text": f"Your code is {code}", "context": {"code": code, "ip": request.ip}}
            await self._hook.respond(Call("POST", "/", {b"authorization": f"Bearer {SECRET}".encode()}, _whole(json.dumps(body).encode())))
            await asyncio.sleep(0)  # the line of the log follows the reply
        return self.sides

    def _clock(self) -> float:
        return self._now

    def _mitto(self, request: httpx.Request) -> httpx.Response:
        recipient = "+" + json.loads(request.content)["to"]
        self._side.sms += 1
        self._side.money += next(price for calling_code, price in PRICES.items() if recipient.startswith(calling_code))
        return httpx.Response(200, json={"responseCode": 0, "id": "m1"})

    def _log(self, line: Mapping[str, object]) -> None:
        would_refuse = line.get("would_refuse")
        if isinstance(would_refuse, Sequence):
            self._side.refused_by.update(str(code) for code in would_refuse)
        elif line["event"] == "rate_limited":
            self._side.refused_by[str(line["why"])] += 1


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def honest(rng: random.Random) -> Iterator[Request]:
    """Give the requests of all people who log in, at any time but for those who begin to work."""
    at_home = list(fictional_numbers())
    abroad = [f"+1{area}55501{last:02d}" for area in CANADIAN_AREAS for last in range(100)]
    block = rng.choice(at_home)[:-2]
    rng.shuffle(at_home)
    own = [str(host) for network in ("192.0.2.0/24", "198.51.100.0/24") for host in ipaddress.ip_network(network).hosts()]
    groups = [
        # An address of their own; some of them abroad.
        (at_home[HONEST_ABROAD:HONEST_USERS] + rng.sample(abroad, HONEST_ABROAD), own),
        # Behind a mobile carrier's NAT, all with one IPv4 address; in the network of a carrier that gives each handset a /64.
        (at_home[HONEST_USERS:][:CARRIER_USERS], ["203.0.113.200"]),
        (at_home[HONEST_USERS + CARRIER_USERS :][:HANDSETS], [f"2001:db8:1:{handset:x}::1" for handset in range(HANDSETS)]),
    ]
    for numbers, addresses in groups:
        for user, number in enumerate(numbers):
            ip = addresses[user % len(addresses)]
            yield from (Request(rng.uniform(0, HOURS * HOUR), HONEST, number, ip) for _ in range(rng.randint(1, MOST_CODES)))
    # A company, whose numbers are neighbours, enrols within the hour of the attack, from two buildings.
    for user in range(EMPLOYEES):
        yield Request(rng.uniform(ATTACK_BEGINS, ATTACK_BEGINS + HOUR), HONEST, f"{block}{user:02d}", f"203.0.113.{201 + user % 2}")
    # A call centre, in which each of two shifts begins with a code for every agent.
    for begins in (ATTACK_BEGINS, ATTACK_BEGINS + 2 * HOUR):
        for number in at_home[-AGENTS:]:
            yield Request(begins + rng.uniform(0, HOUR / 4), HONEST, number, "203.0.113.203")


def attacking(rng: random.Random, attack: Attack) -> Iterator[Request]:
    """Give the requests of the attacker, who walks through all blocks at once and changes the address each time."""
    times = sorted(rng.uniform(0, attack.seconds) for _ in range(REQUESTS))
    for step, seconds in enumerate(times):
        block = attack.blocks[step % BLOCKS]
        yield Request(ATTACK_BEGINS + seconds, ATTACKER, block[step // BLOCKS % len(block)], rng.choice(attack.addresses))


def attacks(rng: random.Random) -> list[Attack]:
    """Give the attack that is judged, the same at home, and others that show where the defaults end."""
    abroad = [[f"+994502{block:02d}{last:04d}" for last in range(REQUESTS // BLOCKS)] for block in range(BLOCKS)]
    areas = rng.sample(sorted({number[:5] for number in fictional_numbers()}), BLOCKS)
    at_home = [[f"{area}55501{last:02d}" for last in range(100)] for area in areas]
    return [
        Attack("abroad, within an hour", abroad, HOUR),
        Attack("at home, within an hour", at_home, HOUR),
        Attack("at home, from one IPv6 /48", at_home, HOUR, addresses=[f"2001:db8:2:{place:x}::1" for place in range(REQUESTS)]),
        Attack("abroad, over 4 hours", abroad, 4 * HOUR),
        Attack("the same, BUDGET_PER_DAY_AZ=20", abroad, 4 * HOUR, {"BUDGET_PER_DAY_AZ": "20", "PRICES_FILE": "prices.csv"}),
    ]


def play(attack: Attack, settings: Mapping[str, str], seed: int, *, is_prefix_for_all: bool = False) -> Sides:
    """Play one attack among the honest, the same for the same seed."""
    _progress(f"playing: {attack.name} {' '.join(f'{name}={value}' for name, value in settings.items())}")
    rng = random.Random(seed)  # noqa: S311 - a plan that can be repeated, not a secret
    requests = sorted([*honest(rng), *attacking(rng, attack)])
    return asyncio.run(Replay({**settings, **attack.settings}, is_prefix_for_all=is_prefix_for_all).play(requests))


def trial(candidate: Candidate, with_defaults: Sequence[tuple[Attack, Sides]], seed: int) -> list[str]:
    """Play attacks with limits that might be the defaults; give the row that tells what became of both sides."""
    row = [candidate.rules, "everywhere" if candidate.is_prefix_for_all else "not at home"]
    for attack, known in with_defaults:
        settings = {"LIMITS": candidate.rules}
        sides = known if candidate.is_default else play(attack, settings, seed, is_prefix_for_all=candidate.is_prefix_for_all)
        row += [f"{sides[HONEST].requests - sides[HONEST].sms:,}", f"{sides[ATTACKER].share:.1%}"]
    return [*row, "the defaults" if candidate.is_default else ""]


def musts(by_mode: Mapping[str, Sides]) -> dict[str, bool]:
    """Judge: what must be, and whether it is."""
    observed, on = by_mode[OBSERVE], by_mode[ON]
    return {
        "protection on: honest users lose none": on[HONEST].sms == on[HONEST].requests and not on[HONEST].refused_by,
        f"protection on: the attacker gets under {MOST_SHARE:.0%}": on[ATTACKER].share < MOST_SHARE,
        "observing refuses nobody": all(side.sms == side.requests for side in observed.values()),
        "observing foretells what is refused": all(observed[name].refused_by == on[name].refused_by for name in on),
    }


def _progress(sentence: str) -> None:
    """Update the one line on a terminal; nothing in a pipe."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{sentence}")
        sys.stdout.flush()


def _rows(title: str, sides: Sides) -> list[list[str]]:
    return [
        [
            title,
            name,
            f"{side.requests:,}",
            f"{side.sms:,}",
            f"{side.share:.1%}",
            f"{side.money:,.2f}",
            ", ".join(f"{rule} {number:,}" for rule, number in side.refused_by.most_common()) or "-",
        ]
        for name, side in sides.items()
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align it: words to the left, numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    is_number = [rows[0][column][:1].isdigit() for column in range(len(head))]
    written = [
        "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, is_number, strict=True))
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in [written[0], "  ".join("-" * width for width in widths), *written[1:]])


def main() -> int:
    """Play everything; 1 when a must is not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, help="repeats another run")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    judged, *others = attacks(random.Random(seed))  # noqa: S311 - a plan that can be repeated, not a secret
    people = {request.number for request in honest(random.Random(seed))}  # noqa: S311 - the same
    sys.stdout.write(
        f"attack: {REQUESTS:,} requests for adjacent numbers in {BLOCKS} blocks {judged.name}, from {ADDRESSES} addresses,\n"
        f"among {len(people)} honest users in {HOURS} hours: {CARRIER_USERS} behind one IPv4 address of a carrier, {HANDSETS} handsets in\n"
        f"one IPv6 /48, {EMPLOYEES} employees with one block who enrol in an hour, {AGENTS} agents in a call centre; "
        f"--seed {seed} repeats it\n\n"
    )
    sys.stdout.flush()
    by_mode = {mode: play(judged, settings, seed) for mode, settings in MODES.items()}
    columns = ["side", "requests", "SMS", "share", "EUR", "refused, or would be, by"]
    verdicts = musts(by_mode)
    on = [(judged, by_mode[ON]), *((attack, play(attack, MODES[ON], seed)) for attack in others)]
    prices = ", ".join(f"{calling_code} {price}" for calling_code, price in PRICES.items())
    parts = [
        table(["protection", *columns], [row for mode, sides in by_mode.items() for row in _rows(mode, sides)]),
        "\n".join(f"{'ok  ' if is_so else 'FAIL'}  {sentence}" for sentence, is_so in verdicts.items()),
        "Not judged, to show where the defaults end: other attacks of the same size, protection on.",
        table(["attack", *columns], [row for attack, sides in on[1:] for row in _rows(attack.name, sides)]),
        "Why these defaults: both attacks of an hour with other limits; honest messages lost (none may be), and what the attacker gets.",
        table(
            ["limits", "per block", "abroad: lost", "attacker", "at home: lost", "attacker", ""],
            [trial(candidate, on[:2], seed) for candidate in CANDIDATES],
        ),
        f"Home is the US; {HONEST_ABROAD} of the honest users are in Canada. Example prices of a segment in EUR: {prices}.",
    ]
    _progress("")
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
