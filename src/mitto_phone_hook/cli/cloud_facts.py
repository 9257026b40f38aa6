"""What Google Cloud documents of its limits and prices, for ``capacity``. Prices are US dollars in a region of tier 1, without discounts.

Read in November 2026 in copies of the pages, which may be older. Both change: look before you plan.
"""

from types import MappingProxyType
from typing import NamedTuple


class Fact(NamedTuple):
    """One figure, what it means, and where it is documented."""

    value: float
    meaning: str
    source: str


_RUN_PRICES = "https://cloud.google.com/run/pricing"
_CONCURRENCY = "https://docs.cloud.google.com/run/docs/about-concurrency"

FACTS = MappingProxyType(
    {
        "concurrency": Fact(80, "requests at once in an instance with one CPU, by default and by deploy.sh", _CONCURRENCY),
        "concurrency_max": Fact(1000, "the most that can be set", _CONCURRENCY),
        "vpc_instances": Fact(
            100,
            "instances of a revision with direct VPC egress, 200 in some regions; can be raised",
            "https://docs.cloud.google.com/run/quotas",
        ),
        "cpu_second": Fact(0.000024, "a CPU for a second in which a request is processed", _RUN_PRICES),
        "gib_second": Fact(0.0000025, "a GiB of memory for such a second", _RUN_PRICES),
        "million_requests": Fact(0.40, "a million requests", _RUN_PRICES),
    }
)

REDIS_SOURCE = "https://cloud.google.com/memorystore/docs/redis/pricing"

REDIS_GIB_HOUR = MappingProxyType({4: 0.064, 10: 0.054, 35: 0.046, 100: 0.035, 300: 0.030})
"""What a GiB costs in an hour, by the largest size in GiB: Memorystore for Redis, standard tier, with a replica.

The page was not at hand; the figures are those of Google's price list that the tests of Infracost record.
"""

INSTANCE_GIB = 0.5
"""What deploy.sh gives an instance, beside one CPU."""

HOURS = 730
"""Of a month."""


def redis_month(gib: int) -> float:
    """Give what a Redis of so many GiB costs in a month. Raises ``ValueError`` above the largest size."""
    for largest, price in REDIS_GIB_HOUR.items():
        if gib <= largest:
            return gib * price * HOURS
    raise ValueError(f"the largest Redis has {max(REDIS_GIB_HOUR)} GiB")


def instance_month(instances: int) -> float:
    """Give what so many busy instances cost in a month, without what their requests cost."""
    return instances * HOURS * 3600 * (FACTS["cpu_second"].value + INSTANCE_GIB * FACTS["gib_second"].value)
