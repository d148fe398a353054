"""Thirty-two clients do everything at once to few shared things: ``make load``; a slice in ``make test``.

Nobody may be told what no serial order explains (``mix``, ``history``), wait for ever, or get an error of the
daemon's own; and when all is removed, nothing may be left.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import pytest

from daemon_host import Host, running_host
from load.footprint import cgroups, everything, left, sizes
from load.mix import NETWORKS, Journal, Person
from load.wire import Client

pytestmark = pytest.mark.root
CLIENTS = 32
SECONDS = float(os.environ.get("LOAD_SECONDS", "12"))
SEED = int(os.environ.get("LOAD_SEED", str(SystemRandom().randrange(1 << 32))))
PATIENCE = 60.0
"""Seconds within which every request must be answered: what waits longer waits for ever."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path) as running:
        yield running


async def load(socket: str, journal: Journal, seconds: float) -> None:
    until = time.monotonic() + seconds

    async def person(number: int) -> None:
        client = Client(socket, PATIENCE)
        one = Person(client, journal, Random(f"{SEED} {number}"), "busybox")
        while time.monotonic() < until:
            await one.act()
        client.close()

    async with asyncio.TaskGroup() as people:
        for number in range(CLIENTS):
            people.create_task(person(number))


async def clear(socket: str) -> None:
    """Remove everything, thirty-two at a time: no lock may be held any more."""
    client = Client(socket, PATIENCE)
    listed = await client.call("GET", "/containers/json?all=1")

    async def remove(path: str) -> None:
        one = Client(socket, PATIENCE)
        reply = await one.call("DELETE", path)
        one.close()
        assert reply.status in (204, 404), (path, reply)

    await asyncio.gather(*(remove(f"/containers/{c['Id']}?force=1&v=1") for c in listed.json()))
    await asyncio.gather(*(remove(f"/networks/{name}") for name in NETWORKS))
    client.close()


def report(journal: Journal) -> str:
    lines = [f"{sum(journal.replies.values())} replies in {SECONDS:.0f} s, seed {SEED}"]
    for verb, waits in sorted(journal.waits.items()):
        waits.sort()
        statuses = " ".join(f"{s}:{n}" for (v, s), n in sorted(journal.replies.items()) if v == verb)
        median, slow, worst = (waits[int(len(waits) * q)] * 1000 for q in (0.5, 0.99, 1 - 1e-9))
        lines.append(f"{verb:16} {median:6.0f} {slow:6.0f} {worst:6.0f} ms (median, p99, worst)  {statuses}")
    return "\n".join(lines)


@pytest.mark.timeout(SECONDS * 4 + 180)
def test_many_at_once(host: Host) -> None:
    socket, journal = host.reachable_socket, Journal()
    host.ok("docker run --rm busybox true")  # layers that all containers share
    before, took = everything(host), sizes(host, host.daemon)
    asyncio.run(load(socket, journal, SECONDS))
    print(report(journal))
    asyncio.run(clear(socket))
    began = time.monotonic()
    contradictions = journal.contradictions()
    print(f"{len(journal.cells)} histories judged in {time.monotonic() - began:.1f} s")
    assert not journal.complaints, "\n".join(journal.complaints[:20])
    assert not contradictions, "\n".join(contradictions[:5])
    host.settle()
    assert not left(before, everything(host))
    assert not cgroups(journal.containers())
    now = sizes(host, host.daemon)
    print("\n".join(f"{what:28} {count:8} {now[what]:8}" for what, count in took.items()))
    problems = [line for line in host.log().splitlines() if " error " in line or "Traceback" in line]
    assert not problems, "\n".join(problems[:20])
