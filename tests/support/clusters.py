"""A real Redis or Valkey Cluster on this machine, whose servers fail and whose slots move as an operator's do."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from redis.crc import REDIS_CLUSTER_HASH_SLOTS

from support.processes import Process, ask_redis, free_port, redis_server

NODE_TIMEOUT_MS = 1000
"""After this a server that does not answer its peers is taken for dead."""

_START_SECONDS = 30.0

Serve = Callable[..., contextlib.AbstractContextManager[Process]]
"""Runs one server, from its port and its options."""


class Cluster:
    """The servers: first the masters, then the replicas, one for each of the first masters."""

    def __init__(self, stack: contextlib.ExitStack, serve: Serve, masters: int, replicas: int) -> None:
        self._serve = serve
        self._stacks = [stack.enter_context(contextlib.ExitStack()) for _ in range(masters + replicas)]
        self._ports = [(free_port(), free_port()) for _ in self._stacks]
        self.nodes = [self._started(number) for number in range(masters + replicas)]
        for number, node in enumerate(self.nodes):
            if number < masters:
                first, last = (REDIS_CLUSTER_HASH_SLOTS * share // masters for share in (number, number + 1))
                ask_redis(node.port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(last - 1))
            ask_redis(node.port, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            if number:
                ask_redis(self.nodes[0].port, "CLUSTER", "MEET", "127.0.0.1", *map(str, self._ports[number]))
        self.wait_until_up()
        for master, replica in zip(self.nodes, self.nodes[masters:], strict=False):
            ask_redis(replica.port, "CLUSTER", "REPLICATE", _id(master))
        for replica in self.nodes[masters:]:
            wait_until(partial(_is_in_step, replica))
        self.wait_until_up()

    def _started(self, number: int) -> Process:
        port, bus = self._ports[number]
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-port", str(bus)]
        file = ["--cluster-config-file", f"nodes-{port}.conf", "--repl-diskless-sync-delay", "0"]
        return self._stacks[number].enter_context(self._serve(port, *options, *file))

    def kill(self, *numbers: int) -> None:
        """Kill servers, as a loss of power does."""
        for number in numbers:
            self.nodes[number].popen.kill()
            self.nodes[number].popen.wait()

    def start(self, *numbers: int) -> None:
        """Start servers again that were killed: without keys, with the slots and the names that they had."""
        for number in numbers:
            self._stacks[number].close()
            self.nodes[number] = self._started(number)

    @property
    def running(self) -> list[Process]:
        """The servers that were not killed."""
        return [node for node in self.nodes if node.popen.poll() is None]

    @property
    def is_up(self) -> bool:
        """Whether all running servers say that each slot has a master, and name the same ones, which run."""
        views = [ask_redis(node.port, "CLUSTER", "SLOTS") for node in self.running]
        masters = [sorted((row[0], row[1], row[2][1]) for row in view) for view in views]
        are_running = {port for _, _, port in masters[0]} <= {node.port for node in self.running}
        states = [ask_redis(node.port, "CLUSTER", "INFO") for node in self.running]
        known = f"cluster_known_nodes:{len(self.nodes)}"
        is_ok = all("cluster_state:ok" in state and known in state for state in states)
        return is_ok and are_running and all(one == masters[0] for one in masters)

    def wait_until_up(self) -> None:
        """Wait until the cluster serves all slots."""
        wait_until(lambda: self.is_up)

    def owner_of(self, slot: int) -> Process:
        """Give the master of a slot."""
        rows = ask_redis(self.running[0].port, "CLUSTER", "SLOTS")
        [port] = [row[2][1] for row in rows if row[0] <= slot <= row[1]]
        return next(node for node in self.nodes if node.port == port)


class Move:
    """A slot on its way from one master to another, step by step as ``redis-cli --cluster reshard`` does it."""

    def __init__(self, slot: int, cluster: Cluster) -> None:
        self._slot, self._cluster = str(slot), cluster
        self._source = cluster.owner_of(slot)
        masters = [node for node in cluster.running if "role:master" in ask_redis(node.port, "INFO", "replication")]
        self._target = next(master for master in masters if master is not self._source)
        self._masters = masters

    def begin(self) -> None:
        """Let both masters share the slot: what is not at the source is asked of the target."""
        ask_redis(self._target.port, "CLUSTER", "SETSLOT", self._slot, "IMPORTING", _id(self._source))
        ask_redis(self._source.port, "CLUSTER", "SETSLOT", self._slot, "MIGRATING", _id(self._target))

    def carry(self, *keys: str) -> None:
        """Take keys to the target."""
        for key in keys:
            ask_redis(self._source.port, "MIGRATE", "127.0.0.1", str(self._target.port), key, "0", "5000")

    def carry_all(self) -> None:
        """Take all keys to the target."""
        while keys := ask_redis(self._source.port, "CLUSTER", "GETKEYSINSLOT", self._slot, "100"):
            self.carry(*keys)

    def end(self) -> None:
        """Let the target have the slot."""
        for master in (self._target, self._source, *self._masters):
            ask_redis(master.port, "CLUSTER", "SETSLOT", self._slot, "NODE", _id(self._target))


@contextlib.contextmanager
def redis_cluster(folder: Path, *options: str, masters: int = 3, replicas: int = 0, program: str | None = None) -> Iterator[Cluster]:
    """Run a real cluster until the block ends."""
    with contextlib.ExitStack() as stack:
        yield Cluster(stack, lambda port, *fixed: redis_server(folder, port, *fixed, *options, program=program), masters, replicas)


def wait_until(is_ready: Callable[[], bool], seconds: float = _START_SECONDS) -> None:
    """Wait for servers; one that is just starting or stopping has not said yes."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if is_ready():
                return
        assert time.monotonic() < end, "the cluster did not get there"
        time.sleep(0.02)


def _is_in_step(replica: Process) -> bool:
    return "master_link_status:up" in ask_redis(replica.port, "INFO", "replication")


def wait_until_copied(master: Process, replica: Process) -> None:
    """Wait until a replica has all that its master has done so far."""
    done = _offset(master, "master_repl_offset")
    wait_until(lambda: _offset(replica, "slave_repl_offset") >= done)


def _offset(node: Process, name: str) -> int:
    told = dict(line.split(":", 1) for line in ask_redis(node.port, "INFO", "replication").splitlines() if ":" in line)
    return int(told[name])


def _id(node: Process) -> str:
    return str(ask_redis(node.port, "CLUSTER", "MYID"))
