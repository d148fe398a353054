"""What is measured. Each measure prepares an engine, then gives one round of samples as often as asked.

Only the request under test is inside a sample; looking whether the kernel really holds what the answer
promised, and clearing away, is outside. A round of one engine is followed by a round of the other, so that
both see the same weather.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dns_load import rate
from engines import Engine
from visits import inside

DNS = ("127.0.0.11", 53)
DNS_SECONDS = 1.0
PATIENCE = 10.0

Round = dict[str, float]
"""Quantity → sample, in the unit that the measure gives it."""


@dataclass
class Measure:
    """``prepare`` makes what a round needs and returns it; ``round`` samples; ``clean`` takes it away."""

    title: str
    quantities: tuple[str, ...]
    rounds: int
    """How many in a full run; the slow things are sampled less often."""
    round: Callable[[Engine, Any, int], Round]
    prepare: Callable[[Engine], Any] = field(default=lambda engine: None)
    clean: Callable[[Engine, Any], None] = field(default=lambda engine, prepared: None)
    warm_up: int = 1
    """Rounds before the first that counts: caches and lazily started parts belong to no engine's median."""
    unit: str = "ms"
    units: dict[str, str] = field(default_factory=dict)
    """Of quantities that are measured in another one."""
    only: tuple[str, ...] = ()
    """Names of the engines that take part; empty for all."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what the work returned."""
    begin = time.perf_counter()
    result = work()
    return (time.perf_counter() - begin) * 1000, result


def wait(until: Callable[[], bool], complaint: str) -> None:
    """An engine may delete after its answer, but soon. Raises RuntimeError when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.001)


# Networks.


def network_round(engine: Engine, _prepared: None, number: int) -> Round:
    created, network = timed(lambda: engine.create_network(f"bench-{number}"))
    bridge = f"br-{network[:12]}"
    if not engine.has_link(bridge):
        raise RuntimeError(f"{engine.name} answered before {bridge} was there")
    begin = time.perf_counter()
    removed = timed(lambda: engine.client.delete(f"/networks/{network}"))[0]
    wait(lambda: not engine.has_link(bridge), f"{engine.name}: {bridge} stays")
    gone = (time.perf_counter() - begin) * 1000
    return {"network create": created, "network remove": removed, "network remove, until it is gone": gone}


def two_networks_and_container(engine: Engine) -> tuple[str, str, str]:
    first, second = engine.create_network("bench-a"), engine.create_network("bench-b")
    return first, second, engine.run_container("bench-a")


def connect_round(engine: Engine, prepared: tuple[str, str, str], _number: int) -> Round:
    _, network, container = prepared
    body = {"Container": container}
    before = interfaces(engine, container)
    connected, _ = timed(lambda: engine.client.post(f"/networks/{network}/connect", None, body))
    if interfaces(engine, container) != before + 1:
        raise RuntimeError(f"{engine.name} answered before the interface was there")
    disconnected, _ = timed(lambda: engine.client.post(f"/networks/{network}/disconnect", None, body))
    wait(lambda: interfaces(engine, container) == before, f"{engine.name}: the interface stays")
    return {"connect": connected, "disconnect": disconnected}


def interfaces(engine: Engine, container: str) -> int:
    """How many the container has."""
    return len(inside(process_of(engine, container), socket.if_nameindex))


def process_of(engine: Engine, container: str) -> int:
    return int(engine.client.get(f"/containers/{container}/json")["State"]["Pid"])


def remove_networks_and_container(engine: Engine, prepared: tuple[str, str, str]) -> None:
    first, second, container = prepared
    engine.remove_container(container)
    for network in (first, second):
        engine.client.delete(f"/networks/{network}")


# Containers.


def lifecycle_round(engine: Engine, _prepared: str, _number: int) -> Round:
    created, container = timed(lambda: engine.create_container("bench-c"))
    started, _ = timed(lambda: engine.client.post(f"/containers/{container}/start"))
    removed, _ = timed(lambda: engine.remove_container(container))
    return {
        "container create": created,
        "container start": started,
        "container create + start": created + started,
        "container remove (force)": removed,
    }


def a_container(engine: Engine) -> str:
    return engine.run_container()


def exec_round(engine: Engine, container: str, _number: int) -> Round:
    def run() -> int:
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["true"]}
        instance = engine.client.post(f"/containers/{container}/exec", None, body)["Id"]
        stream = engine.client.hijack(f"/exec/{instance}/start", None, {"Detach": False, "Tty": False})
        while stream.receive():
            pass
        stream.close()
        return int(engine.client.get(f"/exec/{instance}/json")["ExitCode"])

    took, code = timed(run)
    if code:
        raise RuntimeError(f"{engine.name}: true ended with {code}")
    return {"exec (true)": took}


def inspect_round(engine: Engine, container: str, _number: int) -> Round:
    looked, _ = timed(lambda: engine.client.get(f"/containers/{container}/json"))
    listed, _ = timed(lambda: engine.client.get("/networks"))
    return {"container inspect": looked, "network list": listed}


# Names.


def two_peers(engine: Engine) -> tuple[str, socket.socket, list[str]]:
    network = engine.create_network("bench-names")
    first = engine.run_container("bench-names", "bench-one")
    second = engine.run_container("bench-names", "bench-two")

    def connected() -> socket.socket:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(DNS)
        return client

    return network, inside(process_of(engine, first), connected), [first, second]


def dns_round(engine: Engine, prepared: tuple[str, socket.socket, list[str]], _: int) -> Round:
    return {"DNS queries (hit)": rate(prepared[1], ["bench-two"], DNS_SECONDS)}


def remove_peers(engine: Engine, prepared: tuple[str, socket.socket, list[str]]) -> None:
    network, client, containers = prepared
    client.close()
    for container in containers:
        engine.remove_container(container)
    engine.client.delete(f"/networks/{network}")


# Command line.


def cli_round(engine: Engine, _prepared: None, _number: int) -> Round:
    command = engine.cli("network", "ls")
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=engine.environment())
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = (time.perf_counter() - begin) * 1000
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return {"CLI network ls, wall": wall, "CLI network ls, CPU": (usage.ru_utime + usage.ru_stime) * 1000}


def remove_container(engine: Engine, container: str) -> None:
    engine.remove_container(container)


def remove_network(engine: Engine, network: str) -> None:
    engine.client.delete(f"/networks/{network}")


MEASURES = (
    Measure(
        "networks",
        ("network create", "network remove", "network remove, until it is gone"),
        40,
        network_round,
    ),
    Measure(
        "endpoints",
        ("connect", "disconnect"),
        40,
        connect_round,
        two_networks_and_container,
        remove_networks_and_container,
    ),
    Measure(
        "containers",
        ("container create", "container start", "container create + start", "container remove (force)"),
        20,
        lifecycle_round,
        lambda engine: engine.create_network("bench-c"),
        remove_network,
    ),
    Measure("exec", ("exec (true)",), 30, exec_round, a_container, remove_container),
    Measure(
        "inspect", ("container inspect", "network list"), 200, inspect_round, a_container, remove_container
    ),
    Measure("names", ("DNS queries (hit)",), 5, dns_round, two_peers, remove_peers, unit="1/s"),
    Measure("cli", ("CLI network ls, wall", "CLI network ls, CPU"), 20, cli_round),
)
