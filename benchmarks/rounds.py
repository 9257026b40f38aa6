"""One round: every contestant is started, warmed up, loaded and stopped, one after the other."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.configuration import DELAY_MS, HEADERS, IN_FLIGHT, LONG_DELAY_MS, MANY_IN_FLIGHT, PAYLOAD, Lengths
from benchmarks.contestants import DIRECT, KEPT, OURS, Contestant
from benchmarks.load import Generator, Load
from benchmarks.machine import cpu_seconds, memory_mib
from benchmarks.results import Results
from benchmarks.running import HOST, Server, as_json, free_port, running, wait_for_200
from benchmarks.store import redis_cpu_seconds, redis_port, redis_server
from benchmarks.upstreams import DelayStub, NginxStub, TlsSide, Upstream

_SETTLE_SECONDS = 0.3
_LONGEST_MEMORY_SLICE_SECONDS = 60


@dataclass
class Bench:
    """What a round needs, and where its measurements go."""

    server_core: int
    load: Generator
    instant: NginxStub
    delayed: DelayStub
    lengths: Lengths
    results: Results
    round_number: int = 0
    redis_port: int | None = None
    """Of the Redis that the contestant under test has."""

    def measure(self, contestant: Contestant) -> None:
        """Measure the figures of every contestant."""
        self._against_instant(contestant)
        if contestant.has_delay:
            self._against_delayed(contestant)
        if contestant in (OURS, KEPT) and self.round_number <= self.lengths.tls_rounds:
            self._against_tls(contestant)

    def measure_direct(self) -> None:
        """Measure the upstreams directly: no contestant can have a better latency or throughput."""
        one = self.load.wrk(_port(self.instant.url), in_flight=1, seconds=self.lengths.one_seconds, path="/sms.json")
        self.results.add(self.round_number, DIRECT, one.fault, p50_ms=one.p50_ms, p99_ms=one.p99_ms)
        self.delayed.set_delay(DELAY_MS)
        for in_flight, figure in ((IN_FLIGHT, "rps_delayed"), (MANY_IN_FLIGHT, "rps_delayed_many")):
            for seconds in (1, self.lengths.load_seconds):  # warm up first, like every contestant
                load = self.load.wrk(_port(self.delayed.url), in_flight=in_flight, seconds=seconds, path="/sms.json")
            held = self.delayed.most_in_flight()
            fault = load.fault or (None if held >= in_flight else f"the stub held only {held} of {in_flight}")
            self.results.add(self.round_number, DIRECT, fault, **{figure: load.rps, f"{figure}_p50_ms": load.p50_ms})

    def measure_memory(self, contestant: Contestant, steps: tuple[int, ...]) -> None:
        """Measure the memory of a new server after each number of requests."""
        with self.started(contestant, self.instant.url) as server:
            requests, speed, fault = 0, 0.0, None
            for step in steps:
                in_flight = min(IN_FLIGHT, step // 100)
                while requests < step and not fault:
                    # wrk sends no more than this, but stops only when its time is over.
                    seconds = min(math.ceil((step - requests) / speed), _LONGEST_MEMORY_SLICE_SECONDS) if speed else 1
                    load = self.load.wrk(server.port, in_flight=in_flight, seconds=seconds, most=step - requests)
                    requests, speed, fault = requests + load.requests, in_flight * 1000 / max(load.p50_ms, 0.001), load.fault
                memory = memory_mib(server.pid)
                self.results.add(
                    self.round_number, contestant.name, fault, **{f"memory_{step}_mib": memory, f"memory_{step}_after": requests}
                )

    def _against_instant(self, contestant: Contestant) -> None:
        name, lengths = contestant.name, self.lengths
        with self.started(contestant, self.instant.url):
            pass  # The system may have dropped files that were not used for minutes. A first start reads them from the disk.
        with self.started(contestant, self.instant.url) as server:
            self.results.add(self.round_number, name, start_ms=server.started_in_seconds * 1000)
            self._warm(server, lengths.warm_seconds, contestant.path)
            used, opened, of_redis = cpu_seconds(server.pid), _Opened(self.instant), self._redis_cpu_seconds()
            many = self.load.wrk(server.port, in_flight=IN_FLIGHT, seconds=lengths.load_seconds, path=contestant.path)
            used, of_redis = cpu_seconds(server.pid) - used, self._redis_cpu_seconds() - of_redis
            fault = many.fault or opened.fault(many)
            values = {"rps_instant": many.rps, "cpu_ms": used * 1000 / max(many.requests, 1), "opened_many": opened.per(many)}
            if contestant.has_redis:
                values["redis_cpu_us"] = of_redis * 1e6 / max(many.requests, 1)
            self.results.add(self.round_number, name, fault, **values)
            # The first calls after a burst still notice its effects.
            self.load.wrk(server.port, in_flight=1, seconds=1, path=contestant.path)
            opened = _Opened(self.instant)
            one = self.load.wrk(server.port, in_flight=1, seconds=lengths.one_seconds, path=contestant.path)
            self.results.add(self.round_number, name, one.fault, p50_ms=one.p50_ms, p99_ms=one.p99_ms, opened_one=opened.per(one))

    def _against_delayed(self, contestant: Contestant) -> None:
        name, lengths = contestant.name, self.lengths
        with self.started(contestant, self.delayed.url) as server:
            if contestant is OURS:
                self._bursts(server)
            self.delayed.set_delay(DELAY_MS)
            self._warm(server, 1)
            opened = _Opened(self.delayed)
            load = self.load.wrk(server.port, in_flight=IN_FLIGHT, seconds=lengths.load_seconds)
            values = {"rps_delayed": load.rps, "rps_delayed_p50_ms": load.p50_ms, "opened_delayed": opened.per(load)}
            self.results.add(self.round_number, name, load.fault or opened.fault(load), **values)
            if contestant.is_main:
                load = self.load.wrk(server.port, in_flight=MANY_IN_FLIGHT, seconds=lengths.load_seconds)
                values = {"rps_delayed_many": load.rps, "rps_delayed_many_p50_ms": load.p50_ms}
                self.results.add(self.round_number, name, load.fault, **values)

    def _redis_cpu_seconds(self) -> float:
        return redis_cpu_seconds(self.redis_port) if self.redis_port else 0.0

    def _warm(self, server: Server, seconds: int, path: str = "/") -> None:
        """Warm up for a load whose connections to the upstream are counted.

        The final burst has more calls than the load has in flight. Otherwise the load itself could reach a new maximum of
        calls at the upstream, and open a connection for it although it is warm.
        """
        self.load.wrk(server.port, in_flight=IN_FLIGHT, seconds=seconds, path=path)
        self.load.burst(server.port, MANY_IN_FLIGHT)

    def _bursts(self, server: Server) -> None:
        """Send a burst to a pool with one connection, then to a pool with all connections. Compare one caller before and after."""
        add, seconds = self.results.add, self.lengths.one_seconds
        self.delayed.set_delay(0)
        self.load.wrk(server.port, in_flight=1, seconds=1)
        before = self.load.wrk(server.port, in_flight=1, seconds=seconds)
        add(self.round_number, OURS.name, before.fault, before_burst_p50_ms=before.p50_ms)
        self.delayed.set_delay(LONG_DELAY_MS)
        for figure in ("burst_fresh_s", "burst_warm_s"):
            burst = self.load.burst(server.port, MANY_IN_FLIGHT)
            add(self.round_number, OURS.name, burst.fault, **{figure: burst.slowest_seconds})
        self.delayed.set_delay(0)
        after = self.load.wrk(server.port, in_flight=1, seconds=seconds)
        add(self.round_number, OURS.name, after.fault, after_burst_p50_ms=after.p50_ms)

    def _against_tls(self, contestant: Contestant) -> None:
        side = TlsSide(self.instant)
        with self.started(contestant, side.url, self.instant.authority) as server:
            self._warm(server, 1)
            opened = _Opened(side)
            load = self.load.wrk(server.port, in_flight=IN_FLIGHT, seconds=self.lengths.load_seconds)
            fault = load.fault or opened.fault(load)
            self.results.add(self.round_number, contestant.name, fault, rps_tls=load.rps, opened_tls=opened.per(load))

    @contextlib.contextmanager
    def started(self, contestant: Contestant, upstream: str, authority: Path | None = None) -> Iterator[Server]:
        """Run a contestant until the block ends. It has responded to a message."""
        port = free_port()
        if upstream == self.delayed.url:
            self.delayed.set_delay(0)
        environment = contestant.environment(upstream, authority)
        with contextlib.ExitStack() as stack:
            if contestant.has_redis:
                self.redis_port = redis_port()
                stack.callback(setattr, self, "redis_port", None)
                stack.enter_context(redis_server(self.redis_port, self.load.core))
                environment["STORE_URL"] = f"redis://{HOST}:{self.redis_port}"
            started = time.perf_counter()
            command = contestant.command(port, upstream)
            server = stack.enter_context(running(command, port, self.server_core, environment, folder=contestant.folder))
            wait_for_200(server, "POST", "/", as_json(PAYLOAD), HEADERS)
            server.started_in_seconds = time.perf_counter() - started
            yield server


class _Opened:
    """Counts what reaches an upstream from now on."""

    def __init__(self, upstream: Upstream) -> None:
        time.sleep(_SETTLE_SECONDS)
        self._upstream = upstream
        self._before = upstream.counts()

    def per(self, load: Load) -> float:
        """Return the number of opened connections per request."""
        return (self._upstream.counts().connections - self._before.connections) / max(load.requests, 1)

    def fault(self, load: Load) -> str | None:
        """Return a fault if fewer messages reached Mitto than got a 200 response: something else must have sent it."""
        reached = self._upstream.counts().requests - self._before.requests
        return None if reached >= load.requests else f"only {reached} of {load.requests} calls reached the upstream"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
