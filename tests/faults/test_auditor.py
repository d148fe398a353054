"""The auditor can fail: each kind of leak and loss is planted, and found."""

import contextlib
import os
import signal
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.auditor import Audit, Said
from faults.reality import CGROUPS
from faults.rig import Rig

pytestmark = pytest.mark.root
ID = "deadbeef" * 8
RUN = "/run/fairway"


@dataclass(frozen=True)
class Plant:
    """Shell commands on the host that do damage and undo it; ``words`` are in the finding."""

    damage: str
    repair: str
    words: str


LEFT = {
    "veth": Plant(
        "ip link add veth0123456 type veth peer name other",
        "ip link del veth0123456",
        "interface is left over",
    ),
    "marked interface": Plant(
        "ip link add some type bridge && ip link set some alias fairway:x",
        "ip link del some",
        "interface is left over: some",
    ),
    "link that awaits its deletion": Plant(
        "ip link add gone-1 type bridge", "ip link del gone-1", "interface is left over: gone-1"
    ),
    "address": Plant(
        "ip addr add 10.99.0.1/24 dev docker0", "ip addr del 10.99.0.1/24 dev docker0", "address of"
    ),
    "namespace": Plant(
        f"touch {RUN}/netns/leak && unshare --net mount --bind /proc/self/ns/net {RUN}/netns/leak",
        f"umount {RUN}/netns/leak; rm {RUN}/netns/leak",
        "namespace file is left over",
    ),
    "stale namespace file": Plant(
        f"touch {RUN}/netns/stale",
        f"rm {RUN}/netns/stale",
        f"namespace file is left over: {RUN}/netns/stale",
    ),
    "mount": Plant(
        f"mkdir {RUN}/rootfs/{ID} && mount -t tmpfs none {RUN}/rootfs/{ID}",
        f"umount {RUN}/rootfs/{ID}; rmdir {RUN}/rootfs/{ID}",
        "mount is left over",
    ),
    "element of a set": Plant(
        "nft add element inet fairway bridges { leak0 }",
        "nft delete element inet fairway bridges { leak0 }",
        "element is left over: bridges leak0",
    ),
    "element of a map": Plant(
        "nft add element inet fairway publish { tcp . 99 : 10.7.0.9 . 9 }",
        "nft delete element inet fairway publish { tcp . 99 }",
        "element is left over: publish tcp 99 → 10.7.0.9 9",
    ),
    "directory of a container": Plant(
        f"mkdir {RUN}/bundles/{ID}", f"rmdir {RUN}/bundles/{ID}", f"file is left over: run/bundles/{ID}"
    ),
    "exit file": Plant(f"touch {RUN}/exits/{ID}", f"rm {RUN}/exits/{ID}", "file is left over: run/exits"),
    "directory of an exec": Plant(
        f"mkdir {RUN}/execs/x", f"rmdir {RUN}/execs/x", "file is left over: run/execs"
    ),
    "process": Plant(
        "setsid sleep 4321 >/dev/null 2>&1 & echo $! >/run/leak-process.pid",
        "kill $(cat /run/leak-process.pid); rm /run/leak-process.pid",
        "process is left over on the host",
    ),
    "process in a sandbox": Plant(
        f"nsenter --net=$(ls -d {RUN}/netns/* | head -1) setsid sleep 4321 >/dev/null 2>&1 & "
        "echo $! >/run/leak-inside.pid; sleep 0.1",
        "kill $(cat /run/leak-inside.pid); rm /run/leak-inside.pid",
        "process is left over in a sandbox",
    ),
    "held port": Plant(
        """python3 -c '
import socket, time
held = socket.create_server(("", 4444))
open("/proc/self/comm", "w").write("fairway-ports")
time.sleep(60)' >/dev/null 2>&1 & echo $! >/run/leak-port.pid; sleep 0.3""",
        "kill $(cat /run/leak-port.pid); rm /run/leak-port.pid",
        "held port is left over: tcp * 4444",
    ),
}
MISSING = {
    "bridge that is down": Plant("ip link set docker0 down", "ip link set docker0 up", "docker0 is not up"),
    "address of a bridge": Plant(
        "ip addr del 172.17.0.1/16 dev docker0",
        "ip addr add 172.17.0.1/16 dev docker0",
        "address of docker0 is missing",
    ),
    "element": Plant(
        "nft delete element inet fairway publish { tcp . 18080 }",
        "nft add element inet fairway publish { tcp . 18080 : 10.7.0.2 . 80 }",
        "element is missing: publish tcp 18080",
    ),
    "address, route and port of a bridge": Plant(
        "for f in /run/fairway/netns/*; do nsenter --net=$f ip addr flush dev eth0; done; "
        "for v in $(ip -br link | grep -o ^veth.......); do ip link set $v nomaster; done",
        "",
        "address of eth0 is missing|route is missing|is a port of",
    ),
    "host's end": Plant(
        "for v in $(ip -br link | grep -o ^veth.......); do ip link set $v down; done",
        "for v in $(ip -br link | grep -o ^veth.......); do ip link set $v up; done",
        "is down",
    ),
    "interface of a container": Plant(
        "nsenter --net=$(ls -d /run/fairway/netns/* | head -1) ip link del eth0",
        "",
        "interface is missing",
    ),
    "table": Plant("nft delete table inet fairway", "", "the table inet fairway is missing"),
}


def found(rig: Rig, plants: dict[str, Plant]) -> None:
    """All damage at once, as an audit takes longer than a plant; each must be found, by its own words.

    The daemon is stopped meanwhile: it would mend most of it before anybody looks.
    """
    assert rig.audit() == []
    said = Said.by(rig.api)
    os.kill(rig.pid, signal.SIGSTOP)
    try:
        for plant in plants.values():
            rig.host.ok(plant.damage)
        findings = Audit(rig.where, rig.look(), said, rig.known)()
    finally:
        for plant in plants.values():
            rig.host.run(plant.repair or "true")
        os.kill(rig.pid, signal.SIGCONT)
    for name, plant in plants.items():
        for words in plant.words.split("|"):
            assert any(words in finding for finding in findings), (name, words, findings)
    assert rig.audit() == []


def test_what_is_left_over_is_found(rig: Rig) -> None:
    found(rig, LEFT)


def test_what_is_missing_is_found(rig: Rig) -> None:
    found(rig, {name: plant for name, plant in MISSING.items() if plant.repair})


def test_what_the_daemon_mends_itself_is_found(rig: Rig) -> None:
    found(rig, {name: plant for name, plant in MISSING.items() if not plant.repair})


ROWS = {
    ("network", ID): "row of a network is left over",
    ("container", ID): "row of a container is left over",
    ("volume", "leak"): "row of a volume is left over: leak",
    ("sandbox", ID): "row of a sandbox is left over",
    ("endpoint", f"{ID}/{ID}"): "row of an endpoint is left over",
    ("meta", f"intent/network/{ID}"): "intent is left over",
}


def test_rows_are_found(rig: Rig) -> None:
    """In the store, behind the daemon's back."""
    with contextlib.closing(sqlite3.connect(f"{rig.where.data}/fairway.db", isolation_level=None)) as db:
        db.executemany("INSERT INTO objects VALUES (?, ?, '{}')", ROWS)
        try:
            findings = rig.audit(0)
        finally:
            db.executemany("DELETE FROM objects WHERE kind = ? AND id = ?", ROWS)
    for words in ROWS.values():
        assert any(words in finding for finding in findings), findings
    assert rig.audit() == []


def test_a_cgroup_is_found(rig: Rig) -> None:
    parent = next(CGROUPS.glob("*/fairway"), None) or next(CGROUPS.glob("fairway"))
    leak = Path(parent, ID)
    leak.mkdir()
    rig.seen.add(ID)
    try:
        assert f"cgroup is left over: {ID}" in rig.audit(0)
    finally:
        leak.rmdir()
        rig.seen.discard(ID)
    assert rig.audit() == []


def test_a_lost_process_is_found(rig: Rig) -> None:
    """A container that the API says runs, without its monitor."""
    made = rig.run("one", "six")
    try:
        monitor = next(p for p in rig.look().processes.values() if made in p.words)
        said = Said.by(rig.api)
        os.kill(rig.pid, signal.SIGSTOP)
        os.kill(monitor.pid, signal.SIGKILL)
        assert "/one runs without a conmon" in Audit(rig.where, rig.look(), said, rig.known)()
    finally:
        os.kill(rig.pid, signal.SIGCONT)
        assert rig.reset() == []
