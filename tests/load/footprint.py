"""What a daemon and its containers take up on a host: to be the same before and after."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon_host import Host

TITLES = {"fairway-dns": "resolver", "fairway-ports": "port holder"}


def everything(host: Host) -> dict[str, Counter[str]]:
    """All that a container or a network may leave behind. Logs and the store's own files grow, rightly."""
    files = "for d in /run/fairway {0}/data; do find $d ! -name '*.log' ! -name 'fairway.db*'; done"
    return {
        "links": Counter(host.links()),
        "mounts": Counter(host.mounts()),
        "processes": Counter(host.processes()),
        "elements": Counter(host.ok("nft -s list table inet fairway").splitlines()),
        "files": Counter(host.ok(files.format(host.directory)).splitlines()),
        "namespaces": Counter(host.ok("ls /run/fairway/netns").split()),
        "ports": Counter(line.split()[3] for line in host.ok("ss -Hltun").splitlines()),
    }


def cgroups(containers: Iterable[str]) -> list[Path]:
    """Those that are left of these containers, by id: other daemons on this machine have theirs beside."""
    ids = frozenset(containers)
    return [path for path in Path("/sys/fs/cgroup").glob("*/fairway/*") if path.name in ids]


def left(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> list[str]:
    """What is there now and was not, and what is not any more."""
    return [
        f"{kind}: {sign}{thing}"
        for kind in before
        for sign, more in (("+", after[kind] - before[kind]), ("-", before[kind] - after[kind]))
        for thing in more
    ]


def processes(host: Host, daemon: int) -> dict[str, int]:
    """The daemon and its companions, by pid."""
    own = os.readlink(f"/proc/{daemon}/ns/net")
    found = {"daemon": daemon}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                title = TITLES.get((entry / "comm").read_text().strip())
                if title and os.readlink(entry / "ns/net") == own:
                    found[title] = int(entry.name)
    return found


def sizes(host: Host, daemon: int) -> dict[str, int]:
    """Numbers by what they count: memory in KB, and things."""
    return dict(_sizes(host, daemon))


def _sizes(host: Host, daemon: int) -> Iterator[tuple[str, int]]:
    for name, pid in processes(host, daemon).items():
        own = Path(f"/proc/{pid}")
        yield f"{name}: memory (KB)", int((own / "smaps_rollup").read_text().split("\nPss:")[1].split()[0])
        yield f"{name}: open files", len(list((own / "fd").iterdir()))
        yield f"{name}: threads", len(list((own / "task").iterdir()))
        yield f"{name}: mappings", len((own / "maps").read_text().splitlines())
    yield "tracked connections", int(host.ok("cat /proc/sys/net/netfilter/nf_conntrack_count"))
    yield "lines of the table", len(host.ok("nft -s list table inet fairway").splitlines())
    yield "links", len(host.links())
    yield "mounts", len(host.ok("cat /proc/self/mounts").splitlines())
    yield "processes", len(host.processes())
    for directory in ("/run/fairway", f"{host.directory}/data"):
        name = "exec root" if directory.startswith("/run") else "data root"
        yield f"{name}: files", len(host.ok(f"find {directory} -xdev").splitlines())
        yield f"{name}: size (KB)", int(host.ok(f"du -skx {directory}").split()[0])
