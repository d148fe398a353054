"""Faults that nobody has to put in: a full disk, missing programs, no more processes, no free address."""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.api import Reply
from faults.kills import complaints
from faults.operations import OPERATIONS, Operation, view
from faults.refusals import difference, unclear
from faults.rig import Rig, network
from faults.rig import rig as running
from faults.schedule import ALL

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
CREATING = ("create network", "create", "start", "connect to the way in", "publish", "exec", "create volume")
ENDING = ("stop", "remove", "remove by force", "disconnect", "remove network")
Fault = Callable[[Rig], "contextlib.AbstractContextManager[None]"]


@contextlib.contextmanager
def missing(rig: Rig, program: str) -> Iterator[None]:
    """The program cannot be executed."""
    rig.host.ok(f"mount --bind /dev/null $(command -v {program})")
    try:
        yield
    finally:
        rig.host.ok(f"umount $(command -v {program})")


@contextlib.contextmanager
def no_processes(rig: Rig) -> Iterator[None]:
    """The daemon's cgroup has as many tasks as it may have."""
    group = Path("/sys/fs/cgroup/pids", f"faults-{os.getpid()}")
    if not group.parent.is_dir():
        pytest.skip(f"{group.parent} is not there: cgroup v1 with CONFIG_CGROUP_PIDS, mounted")
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(rig.pid))
        (group / "pids.max").write_text((group / "pids.current").read_text())
        yield
    finally:
        (group / "pids.max").write_text("max")
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


@contextlib.contextmanager
def full(rig: Rig) -> Iterator[None]:
    """Not a byte is left in the data root."""
    filler = f"{rig.where.data}/filler"
    rig.host.run(f"cat /dev/zero >{filler}")
    try:
        yield
    finally:
        rig.host.ok(f"rm {filler}")


def suffered(rig: Rig, operation: Operation, fault: "contextlib.AbstractContextManager[None]") -> Reply:
    """The operation under a fault, and then without; everything as it should be after each."""
    operation.prepare(rig)
    before = view(rig.api)
    log_size = len(rig.log())
    with fault:
        reply = operation.act(rig)
    log = rig.log()[log_size:]
    found = complaints(log)
    left = rig.audit(2)
    if left and "level=warning" in log:
        rig.restart()
        left = rig.audit()
    found += left
    if not reply.ok:
        found += unclear(reply, operation)
        now = view(rig.api)
        if now != before and not operation.between(now, before, now):
            found.append(f"refused ({reply.message}), but: {difference(before, now)}")
        again = operation.act(rig)
        if not (again.ok or (operation.teardown and again.status in (304, 404))):
            found.append(f"refused even without the fault: {again}")
    found += rig.audit() + rig.packets() + rig.reset()
    assert not found, "\n".join(found)
    return reply


@pytest.mark.parametrize(
    ("name", "program"),
    list(itertools.product([*CREATING, *ENDING], ["conmon", "crun"]))
    if ALL
    else [("start", "conmon"), ("remove by force", "crun")],
)
def test_a_program_is_missing(rig: Rig, program: str, name: str) -> None:
    reply = suffered(rig, OPERATIONS[name], missing(rig, program))
    assert reply.ok == (name not in ("start", "exec") or (name, program) == ("exec", "conmon")), reply


@pytest.mark.parametrize("name", [*CREATING, *ENDING] if ALL else ["start"])
def test_no_more_processes(rig: Rig, name: str) -> None:
    suffered(rig, OPERATIONS[name], no_processes(rig))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("small"), "16m") as made:
        yield made


@pytest.mark.parametrize("name", [*CREATING, *ENDING] if ALL else ["start"])
def test_the_disk_is_full(small: Rig, name: str) -> None:
    suffered(small, OPERATIONS[name], full(small))


def test_no_address_is_left(rig: Rig) -> None:
    rig.api.post("/networks/create", network("tiny", subnets=("10.8.0.0/30",)))
    rig.run("first", "tiny")
    rig.create("one", "tiny")
    before = view(rig.api)
    reply = rig.api.call("POST", "/containers/one/start")
    assert not reply.ok and "no available IPv4 addresses" in reply.message, reply
    assert view(rig.api) == before and rig.audit() == []
    rig.api.delete("/containers/first", force=1)
    rig.api.post("/containers/one/start")
    assert rig.audit() == [] and rig.reset() == []


def test_the_store_is_slow(rig: Rig) -> None:
    """Its thread hangs for a second: others are answered meanwhile, and the operation succeeds."""
    rig.order(do="fail", at=["commit", 1], error="STUCK", again=False)
    replies: list[Reply] = []
    slow = threading.Thread(target=lambda: replies.append(OPERATIONS["create network"].act(rig)))
    slow.start()
    while rig.api.get("/_ping") and not replies:
        answered = slow.is_alive()
    slow.join()
    assert answered and replies[0].ok and rig.order(do="off")
    assert rig.audit() == [] and rig.reset() == []
