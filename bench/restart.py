"""How soon a killed daemon is back that has running containers, each with a published port and a name.

SIGKILL, then the daemon's command again. It is back when it has answered ``/_ping`` and its list shows every
container running, with the ports that it had. The clock then stops, and what the list says is tried: every
port must lead to its own container, every name to its address.

CPU time is that of all processes on the engine's host, children that have ended meanwhile included: what a
busy machine hides in the time until it is back. dockerd runs with ``--live-restore``, or it would have ended
the containers.
"""

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dns_load import query
from engines import IMAGE, Engine
from measures import DNS, Measure, Round, process_of
from visits import inside

NETWORK = "bench-restart"
FIRST_PORT = 30_000
PATIENCE = 120.0
POLL = 0.002
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Fleet:
    """Containers that run while the daemon does not; ``shown`` is what the list said of them."""

    ids: dict[str, str]
    shown: dict[str, Any]


def fleet(count: int) -> Callable[[Engine], Fleet]:
    def prepare(engine: Engine) -> Fleet:
        engine.create_network(NETWORK)
        ids = {}
        for number in range(count):
            name = f"bench-r{number}"
            host = {
                "NetworkMode": NETWORK,
                "PortBindings": {"80/tcp": [{"HostPort": str(FIRST_PORT + number)}]},
            }
            body = {
                "Image": IMAGE,
                "Cmd": ["httpd", "-f", "-p", "80", "-h", "/etc"],
                "ExposedPorts": {"80/tcp": {}},
                "HostConfig": host,
            }
            ids[name] = str(engine.client.post("/containers/create", {"name": name}, body)["Id"])
            engine.client.post(f"/containers/{ids[name]}/start")
        return Fleet(ids, shown(engine))

    return prepare


def shown(engine: Engine) -> dict[str, Any]:
    """Name → state, ports and address of all containers, as the engine lists them."""
    return {
        container["Names"][0].removeprefix("/"): (
            container["State"],
            sorted(str(sorted(port.items())) for port in container["Ports"]),
            container["NetworkSettings"]["Networks"].get(NETWORK, {}).get("IPAddress"),
        )
        for container in engine.client.get("/containers/json")
    }


def restart_round(count: int) -> Callable[[Engine, Fleet, int], Round]:
    def take(engine: Engine, before: Fleet, _number: int) -> Round:
        engine.kill()
        spent, begin = processor_time(engine), time.perf_counter()
        engine.launch()
        engine.await_answer(POLL)
        answered = time.perf_counter() - begin
        while shown(engine) != before.shown:
            if time.perf_counter() - begin > PATIENCE:
                raise RuntimeError(f"{engine.name} does not know all of its containers: {shown(engine)}")
            time.sleep(POLL)
        back, used = time.perf_counter() - begin, processor_time(engine) - spent
        try_ports(engine, before)
        try_names(engine, before)
        return dict(zip(titles(count), (answered * 1000, back * 1000, used * 1000), strict=True))

    return take


def processor_time(engine: Engine) -> float:
    """Seconds that all processes on the host, and their children that have ended, have spent (proc(5))."""
    total = 0
    for pid in engine.processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / _TICKS


def try_ports(engine: Engine, known: Fleet) -> None:
    """Each published port leads to its own container."""
    for number, (name, id_) in enumerate(known.ids.items()):
        with inside(engine.anchor(), socket.socket) as client:
            client.settimeout(10)
            client.connect(("127.0.0.1", FIRST_PORT + number))
            client.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            with client.makefile("rb") as answering:
                answer = answering.read()
        if id_[:12].encode() not in answer:
            raise RuntimeError(f"{engine.name}: the port of {name} leads elsewhere: {answer!r}")


def try_names(engine: Engine, known: Fleet) -> None:
    """Each name leads to the address that the list shows, asked for in one of the containers."""
    asking = process_of(engine, next(iter(known.ids.values())))
    client = inside(asking, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.settimeout(10)
    with client:
        client.connect(DNS)
        for name, (_, _, address) in known.shown.items():
            client.send(query(name))
            answer = client.recv(512)
            if not answer.endswith(struct.pack("!H", 4) + socket.inet_aton(address)):
                raise RuntimeError(f"{engine.name}: {name} is not found at {address}: {answer!r}")


def leave(engine: Engine, known: Fleet) -> None:
    for container in known.ids.values():
        engine.remove_container(container)
    engine.client.delete(f"/networks/{NETWORK}")


def titles(count: int) -> tuple[str, str, str]:
    with_containers = f"with {count} running containers"
    return (
        f"restart until /_ping answers, {with_containers}",
        f"restart until all is known, {with_containers}",
        f"restart, CPU time, {with_containers}",
    )


def restart_measure(count: int, rounds: int) -> Measure:
    return Measure(
        f"restart-{count}", titles(count), rounds, restart_round(count), fleet(count), leave, warm_up=0
    )


RESTART = (restart_measure(10, 3), restart_measure(100, 3), restart_measure(200, 3))
