"""What publishing costs: starting and stopping with many ports, and a packet's way through one of them."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import HOST, IMAGE, Engine, Fairway
from measures import Measure, Round, process_of, timed

LOAD = str(Path(__file__).with_name("tcp_load.py"))
FIRST_PORT, PUBLISHED = 20_000, 8_000
MANY = 10_000
OTHER_NETWORKS, OTHER_PORTS, PORTS_EACH = 200, 2_000, 200


def with_ports(engine: Engine, bindings: dict[str, str], network: str = "bridge") -> str:
    """A container, not started, with host ports by container port; its id."""
    host = {
        "NetworkMode": network,
        "PortBindings": {f"{inside}/tcp": [{"HostPort": outside}] for inside, outside in bindings.items()},
    }
    exposed: dict[str, Any] = {f"{inside}/tcp": {} for inside in bindings}
    body = {"Image": IMAGE, "Cmd": ["sleep", "1000000"], "HostConfig": host, "ExposedPorts": exposed}
    return str(engine.client.post("/containers/create", None, body)["Id"])


def a_range(count: int, first: int = FIRST_PORT) -> dict[str, str]:
    return {str(port): str(port) for port in range(first, first + count)}


# Starting and stopping.


def megabytes(engine: Engine) -> float:
    """Memory of all processes of the engine and its containers: their proportional set size."""
    total = 0
    for pid in engine.processes():
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(rollup.split("\nPss:")[1].split()[0])
    return total / 1024


def ports_round(count: int) -> Callable[[Engine, float, int], Round]:
    def take(engine: Engine, without: float, _number: int) -> Round:
        container = with_ports(engine, a_range(count))
        started, _ = timed(lambda: engine.client.post(f"/containers/{container}/start"))
        memory = megabytes(engine)
        stopped, _ = timed(lambda: engine.client.post(f"/containers/{container}/stop", {"t": 0}))
        engine.remove_container(container)
        samples = (started, stopped, max(memory - without, 0.01), memory)
        return dict(zip(titles(count), samples, strict=True))

    return take


def titles(count: int) -> tuple[str, str, str, str]:
    ports = f"{count:,} port{'s' if count > 1 else ''}"
    return (
        f"start with {ports}",
        f"stop with {ports}",
        f"memory added by {ports}",
        f"memory of all processes, {ports}",
    )


def ports_measure(count: int, rounds: int, only: tuple[str, ...] = ()) -> Measure:
    names = titles(count)
    units = dict.fromkeys(names[2:], "MB")
    take = ports_round(count)
    warm_up = 1 if rounds > 1 else 0  # what takes minutes needs none
    return Measure(
        f"ports-{count}", names, rounds, take, memory_without, warm_up=warm_up, units=units, only=only
    )


def memory_without(engine: Engine) -> float:
    """With one container that publishes nothing."""
    container = engine.run_container()
    memory = megabytes(engine)
    engine.remove_container(container)
    return memory


def none_round(engine: Engine, _prepared: None, _number: int) -> Round:
    container = with_ports(engine, {})
    started, _ = timed(lambda: engine.client.post(f"/containers/{container}/start"))
    engine.remove_container(container)
    return {"start with no ports": started}


# The way of a packet.


@dataclass
class Scene:
    """A server behind published ports, and a client in a neighbouring container."""

    engine: Engine
    server: str
    client: str
    address: str
    serving: "subprocess.Popen[bytes]"

    def ways(self) -> Iterator[tuple[str, list[str], str, int]]:
        """Name, how to enter the client's namespace, address, and what to add to the server's ports."""
        yield WAYS[0], self.engine.outside(), HOST, PUBLISHED
        yield WAYS[1], self.engine.enter(), "127.0.0.1", PUBLISHED
        yield WAYS[2], inside(self.engine, self.client), self.address, 0

    def rates(self) -> Round:
        return {way: self._load(prefix, "rate", to, base + 80) for way, prefix, to, base in self.ways()}

    def latencies(self) -> Round:
        """In microseconds."""
        return {way: self._load(prefix, "wait", to, base + 80) for way, prefix, to, base in self.ways()}

    def flows(self) -> Round:
        """In Gbit/s."""
        ways = self.ways()
        return {way: self._load(prefix, "flow", to, base + 81) * 8e-9 for way, prefix, to, base in ways}

    def _load(self, prefix: list[str], what: str, address: str, port: int) -> float:
        seconds = str(self.engine.load_seconds)
        command = [*prefix, sys.executable, LOAD, what, address, str(port), seconds]
        return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    def leave(self) -> None:
        self.serving.kill()
        self.serving.wait()
        for container in (self.client, self.server):
            self.engine.remove_container(container)


def scene(engine: Engine) -> Scene:
    engine.outside()
    server = with_ports(engine, {str(port): str(PUBLISHED + port) for port in (80, 81)})
    engine.client.post(f"/containers/{server}/start")
    serving = subprocess.Popen(
        [*inside(engine, server), sys.executable, LOAD, "serve", "80", "81"], stdout=subprocess.PIPE
    )
    assert serving.stdout
    serving.stdout.readline()
    details = engine.client.get(f"/containers/{server}/json")
    address = details["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    return Scene(engine, server, engine.run_container(), address, serving)


def inside(engine: Engine, container: str) -> list[str]:
    return ["nsenter", "-t", str(process_of(engine, container)), "-n", "--"]


def rate_round(_engine: Engine, found: Scene, _number: int) -> Round:
    rates = {f"connections {way}": sample for way, sample in found.rates().items()}
    return rates | {f"latency {way}": sample for way, sample in found.latencies().items()}


def flow_round(_engine: Engine, found: Scene, _number: int) -> Round:
    return {f"throughput {way}": sample for way, sample in found.flows().items()}


# The same among many others: a second host of the same engine, taken in turns with the first.


@dataclass
class Pair:
    alone: Scene
    among: Scene


def pair(engine: Engine) -> Pair:
    """Two scenes, one with hundreds of networks and thousands of other ports on its host."""
    with contextlib.ExitStack() as undo:
        other = Fairway(engine.directory.with_name("crowded"))
        undo.callback(other.close)
        other.load_seconds = engine.load_seconds
        other.start()
        for number in range(OTHER_NETWORKS):
            other.create_network(f"other-{number}")
        for first in range(FIRST_PORT, FIRST_PORT + OTHER_PORTS, PORTS_EACH):
            container = with_ports(other, a_range(PORTS_EACH, first))
            other.client.post(f"/containers/{container}/start")
        found = Pair(scene(engine), scene(other))
        undo.pop_all()
        return found


def pair_round(_engine: Engine, found: Pair, number: int) -> Round:
    turns = [("", found.alone), (CROWD, found.among)]
    samples: Round = {}
    for suffix, each in turns if number % 2 else reversed(turns):
        samples |= {f"connections {way}{suffix or ALONE}": sample for way, sample in each.rates().items()}
        samples |= {f"latency {way}{suffix or ALONE}": sample for way, sample in each.latencies().items()}
        samples |= {f"throughput {way}{suffix or ALONE}": sample for way, sample in each.flows().items()}
    return samples


def leave_pair(_engine: Engine, found: Pair) -> None:
    found.alone.leave()
    found.among.leave()
    found.among.engine.close()


WAYS = ("from another host", "from 127.0.0.1", "container to container")
ALONE = ", alone"
CROWD = f", among {OTHER_NETWORKS} networks and {OTHER_PORTS:,} ports"
RATES = tuple(f"connections {way}" for way in WAYS)
LATENCIES = tuple(f"latency {way}" for way in WAYS)
FLOWS = tuple(f"throughput {way}" for way in WAYS)
UNITS = {"latency": "µs", "throughput": "Gbit/s"}
PAIRS = tuple(f"{name}{suffix}" for name in (*RATES, *LATENCIES, *FLOWS) for suffix in (ALONE, CROWD))

PUBLISHING = (
    Measure("ports-0", ("start with no ports",), 10, none_round, only=("fairway",)),
    *(ports_measure(count, rounds) for count, rounds in ((1, 10), (100, 3), (1_000, 1))),
    ports_measure(MANY, 3, ("fairway",)),
    Measure(
        "connections",
        (*RATES, *LATENCIES),
        7,
        rate_round,
        scene,
        lambda _, found: found.leave(),
        unit="1/s",
        units=dict.fromkeys(LATENCIES, "µs"),
    ),
    Measure("throughput", FLOWS, 5, flow_round, scene, lambda _, found: found.leave(), unit="Gbit/s"),
    Measure(
        "crowd",
        PAIRS,
        7,
        pair_round,
        pair,
        leave_pair,
        unit="1/s",
        units={name: unit for name in PAIRS for start, unit in UNITS.items() if name.startswith(start)},
        only=("fairway",),
    ),
)
