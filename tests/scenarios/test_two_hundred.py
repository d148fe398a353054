"""Two hundred containers on one network, started and removed sixteen at a time: all meet, nothing is left."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
COUNT = 200
AT_ONCE = 16
NAMES = [f"c{i}" for i in range(COUNT)]


NEIGHBOURS = {"gc_thresh1": 8192, "gc_thresh2": 49152, "gc_thresh3": 65536}
"""Docker's values for large networks. The kernel has one table of neighbours for all its namespaces, of 1,024
entries by default: fewer than the pairs that talk here, and a full table loses packets."""


@pytest.fixture
def neighbours() -> Iterator[None]:
    """Room for the neighbours of all, while the test runs."""
    files = {Path("/proc/sys/net/ipv4/neigh/default", name): value for name, value in NEIGHBOURS.items()}
    if not all(file.exists() for file in files):
        pytest.skip("the table of neighbours can only be enlarged in the machine's first network namespace")
    before = {file: file.read_text() for file in files}
    try:
        for file, value in reversed(files.items()):
            file.write_text(str(max(value, int(before[file]))))
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)


@pytest.fixture
def host(tmp_path: Path, neighbours: None) -> Iterator[Host]:
    with running_host(tmp_path) as running:
        yield running


def everything(host: Host) -> dict[str, list[str]]:
    """All that a container may leave behind. Logs and the store's own files grow and are no leftovers."""
    settled = "for d in /run/fairway {0}/data; do find $d ! -name '*.log' ! -name 'fairway.db*'; done"
    return {
        "links": host.links(),
        "mounts": sorted(host.mounts()),
        "processes": sorted(host.processes()),
        "elements": host.ok("nft -s list table inet fairway").splitlines(),
        "files": sorted(host.ok(settled.format(host.directory)).splitlines()),
    }


def each(work: Callable[[str], object], names: Iterable[str]) -> None:
    """Sixteen at a time; the first error is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, names))


def reach(container: Container, names: Iterable[str]) -> None:
    """By name, so that each is resolved, too."""
    ping = "ping -c 1 -W 5 $n >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }"
    done = container.exec_run(["sh", "-c", f"for n in {' '.join(names)}; do {ping}; done"])
    assert done.exit_code == 0, f"{container.name} does not reach {done.output!r}"


@pytest.mark.timeout(300)
def test_two_hundred_containers_on_one_network(host: Host) -> None:
    client = docker.DockerClient(base_url=f"unix://{host.reachable_socket}", timeout=120)
    containers: dict[str, Container] = {}

    def start(name: str) -> None:
        containers[name] = client.containers.run(
            "busybox", ["sleep", "3600"], name=name, network="many", detach=True, stop_signal="SIGKILL"
        )

    def look_around(name: str) -> None:
        at, chance = NAMES.index(name), random.Random(name)
        reach(containers[name], {NAMES[at - 1], NAMES[(at + 1) % COUNT], chance.choice(NAMES)})

    def remove(name: str) -> None:
        containers[name].remove(force=True)

    try:
        client.containers.run("busybox", ["true"], remove=True)  # layers that all containers share
        before = everything(host)
        client.networks.create("many")
        for work in (start, look_around):
            began = time.monotonic()
            each(work, NAMES)
            print(f"{work.__name__}: {time.monotonic() - began:.1f} s")
        reach(containers["c0"], NAMES)
        network = client.networks.get("many")
        assert {c["Name"] for c in network.attrs["Containers"].values()} == set(NAMES)
        addresses = {c["IPv4Address"] for c in network.attrs["Containers"].values()}
        assert len(addresses) == COUNT
        began = time.monotonic()
        each(remove, NAMES)
        print(f"remove: {time.monotonic() - began:.1f} s")
        network.remove()
        assert client.containers.list(all=True) == []
        host.settle()
        after = everything(host)
        for kind, things in before.items():
            assert set(after[kind]) == set(things), kind
        groups = {path.name for path in Path("/sys/fs/cgroup").glob("*/fairway/*")}
        assert not groups & {container.id for container in containers.values()}
    finally:
        client.close()
