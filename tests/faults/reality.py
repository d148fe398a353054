"""What is there, read by other means than Fairway's: ip, nft, ss, /proc, the file system, SQLite.

One shell script enters the host's namespaces and each sandbox's and prints everything; the rest is read
from here. Nothing is changed, and nothing of Fairway's code is used.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SCRIPT = r"""
echo @links; ip -j -d addr
echo @nft; nft -j list ruleset
echo @mounts; cat /proc/self/mountinfo
echo @sockets; ss -Hlntup
for file in {run}/netns/*; do
  [ -e "$file" ] || continue
  echo "@sandbox $file"
  nsenter --net="$file" sh -c 'echo @@links; ip -j -d addr; echo @@routes; ip -j route; echo @@routes6
    ip -j -6 route; echo @@sockets; ss -Hlntu; echo @@id; readlink /proc/self/ns/net' 2>&1
done
true
"""
_HEX = re.compile(r"[0-9a-f]{64}")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Interface:
    name: str
    index: int = 0
    peer: int = 0
    """Of a veth: the other end's index, in its namespace."""
    kind: str = ""
    mac: str = ""
    master: str = ""
    alias: str = ""
    group: str = ""
    mtu: int = 0
    up: bool = False
    hairpin: bool = False
    addresses: set[str] = field(default_factory=set)


@dataclass
class Sandbox:
    """A namespace file; ``id`` (``net:[…]``) is empty when no namespace is mounted on it."""

    path: str
    id: str = ""
    interfaces: dict[str, Interface] = field(default_factory=dict)
    routes: set[str] = field(default_factory=set)
    listening: set[str] = field(default_factory=set)


@dataclass
class Process:
    pid: int
    words: tuple[str, ...]
    network: str
    mounts: str
    container: str
    """The 64 digits in its cgroup's path."""
    parent: int


@dataclass
class Reality:
    interfaces: dict[str, Interface] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    elements: set[tuple[str, ...]] = field(default_factory=set)
    """(set or map, key…, → value…) of table ``inet fairway``."""
    tables: set[str] = field(default_factory=set)
    mounts: dict[str, list[str]] = field(default_factory=dict)
    """Kinds of file systems mounted at each place below the daemon's directories."""
    held: set[tuple[str, str, int]] = field(default_factory=set)
    """Protocol, address (``*`` for all) and port that the port holder listens on."""
    processes: dict[int, Process] = field(default_factory=dict)
    """Those in the host's mount or network namespace, in a sandbox, in a cgroup of a container."""
    files: set[str] = field(default_factory=set)
    """Entries of the run directory and the data root, as ``run/netns/…``, ``data/containers/…``."""
    cgroups: set[str] = field(default_factory=set)
    """Containers that have a cgroup below ``fairway``; those of other daemons of this machine, too."""
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """The store: kind → id → object."""

    def fingerprint(self, ignore: Callable[[str], bool] = lambda _: False) -> set[str]:
        """Everything as lines that two looks at the same world have in common."""
        lines = {f"interface {i.name} {sorted(i.addresses)} {i.master} {i.up}" for i in self._links()}
        for box in self.sandboxes.values():
            lines |= {f"{box.path}: {i.name} {sorted(i.addresses)}" for i in box.interfaces.values()}
            lines |= {f"{box.path}: route {r}" for r in box.routes} | {
                f"{box.path}: {s}" for s in box.listening
            }
        lines |= {f"element {' '.join(e)}" for e in self.elements}
        lines |= {f"table {t}" for t in self.tables}
        lines |= {f"mount {place} {kinds}" for place, kinds in self.mounts.items()}
        lines |= {f"held {p} {a}:{n}" for p, a, n in self.held}
        lines |= {f"file {f}" for f in self.files}
        lines |= {f"row {kind}/{id_}" for kind, rows in self.rows.items() for id_ in rows}
        lines |= {f"process {' '.join(p.words)[:160]}" for p in self.processes.values()}
        return {line for line in lines if not ignore(line)}

    def _links(self) -> Iterator[Interface]:
        return (i for i in self.interfaces.values() if not i.name.startswith("gone-"))


@dataclass
class Where:
    """A daemon, by a process in its host's namespaces, and its directories there."""

    anchor: int
    run: str
    data: str

    def enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.anchor), "-n", "-m", "--"]

    def root(self, path: str) -> Path:
        """A path of the host as it is found from here."""
        return Path(f"/proc/{self.anchor}/root{path}")


def read(where: Where) -> Reality:
    """Look at everything once."""
    script = _SCRIPT.replace("{run}", where.run)
    done = subprocess.run([*where.enter(), "sh", "-c", script], capture_output=True, text=True, check=True)
    found = Reality()
    for heading, text in _sections(done.stdout, "@"):
        if heading == "links":
            found.interfaces = _interfaces(text)
        elif heading == "nft":
            _read_nft(text, found)
        elif heading == "mounts":
            found.mounts = _mounts(text, where)
        elif heading == "sockets":
            found.held = set(_held(text))
        elif heading.startswith("sandbox "):
            box = _sandbox(heading.partition(" ")[2], text)
            found.sandboxes[box.path] = box
    found.processes = _processes(where, {b.id for b in found.sandboxes.values()})
    found.files = set(_files(where))
    found.cgroups = {d.name for d in CGROUPS.glob("*/fairway/*") if _HEX.fullmatch(d.name)}
    found.cgroups |= {d.name for d in CGROUPS.glob("fairway/*") if _HEX.fullmatch(d.name)}
    found.rows = _rows(Path(where.data) / "fairway.db")
    return found


def _sections(text: str, mark: str) -> Iterator[tuple[str, str]]:
    heading, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith(mark) and not line.startswith(mark + "@"):
            if heading:
                yield heading, "\n".join(lines)
            heading, lines = line[len(mark) :], []
        else:
            lines.append(line)
    if heading:
        yield heading, "\n".join(lines)


def _interfaces(text: str) -> dict[str, Interface]:
    result = {}
    for each in json.loads(text or "[]"):
        if not each:
            continue
        info = each.get("linkinfo", {})
        result[each["ifname"]] = Interface(
            name=each["ifname"],
            index=each["ifindex"],
            peer=each.get("link_index", 0),
            kind=info.get("info_kind", ""),
            mac=each.get("address", ""),
            master=each.get("master", ""),
            alias=each.get("ifalias", ""),
            group=str(each.get("group", "")),
            mtu=each["mtu"],
            up="UP" in each["flags"],
            hairpin=info.get("info_slave_data", {}).get("hairpin", False),
            addresses={
                f"{a['local']}/{a['prefixlen']}"
                for a in each["addr_info"]
                if a.get("local") and not _made_by_kernel(a, each.get("address", ""))
            },
        )
    return result


def _made_by_kernel(address: dict[str, Any], mac: str) -> bool:
    """The link-local address that every interface gives itself: fe80:: and the EUI-64 of its MAC."""
    return bool(address["family"] == "inet6" and address["scope"] == "link" and "ff:fe" in address["local"])


def _read_nft(text: str, found: Reality) -> None:
    for entry in json.loads(text)["nftables"]:
        if "table" in entry:
            found.tables.add(f"{entry['table']['family']} {entry['table']['name']}")
        for holder in (entry.get("set"), entry.get("map")):
            if holder and (holder["family"], holder["table"]) == ("inet", "fairway"):
                for element in holder.get("elem", ()):
                    found.elements.add((holder["name"], *_element(element)))


def _element(element: Any) -> tuple[str, ...]:
    if isinstance(element, list):  # a map's key and value
        return (*_element(element[0]), "→", *_element(element[1]))
    if isinstance(element, dict):
        if "elem" in element:
            return _element(element["elem"]["val"])
        if "concat" in element:
            return tuple(str(part) for part in element["concat"])
    return (str(element),)


def _mounts(text: str, where: Where) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4]
        if place.startswith((where.run, where.data)):
            result.setdefault(place, []).append(after.split(" ")[0])
    return result


def _held(text: str) -> Iterator[tuple[str, str, int]]:
    for line in text.splitlines():
        words = line.split()
        if "fairway-ports" not in line:
            continue
        address, _, port = words[4].rpartition(":")
        address = address.strip("[]").partition("%")[0]
        yield words[0], "*" if address in ("0.0.0.0", "::", "*") else address, int(port)


def _sandbox(path: str, text: str) -> Sandbox:
    box = Sandbox(path)
    for heading, body in _sections(text, "@@"):
        if heading == "links":
            box.interfaces = _interfaces(body)
        elif heading in ("routes", "routes6"):
            box.routes |= {
                f"{r['dst']} via {r['gateway']}" for r in json.loads(body or "[]") if r.get("gateway")
            }
        elif heading == "sockets":
            box.listening = {f"{w[0]} {w[4]}" for w in map(str.split, body.splitlines())}
        elif heading == "id":
            box.id = body.strip()
    return box


def _processes(where: Where, sandboxes: set[str]) -> dict[int, Process]:
    own = tuple(os.readlink(f"/proc/{where.anchor}/ns/{kind}") for kind in ("net", "mnt"))
    result = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if stat[0] in "ZX":
                continue
            network, mounts = os.readlink(entry / "ns/net"), os.readlink(entry / "ns/mnt")
            words = tuple((entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0"))
            ids = _HEX.findall((entry / "cgroup").read_text())
            mine = network == own[0] or mounts == own[1] or network in sandboxes
            if mine or any(where.data in word for word in words):
                pid = int(entry.name)
                result[pid] = Process(pid, words, network, mounts, ids[0] if ids else "", int(stat[1]))
    return result


def _files(where: Where) -> Iterator[str]:
    for name in ("netns", "rootfs", "oci", "bundles", "exits", "attach", "execs"):
        with contextlib.suppress(FileNotFoundError):
            yield from (f"run/{name}/{e.name}" for e in os.scandir(where.root(f"{where.run}/{name}")))
    for name in ("containers", "layers-rw", "volumes"):
        with contextlib.suppress(FileNotFoundError):
            yield from (f"data/{name}/{e.name}" for e in os.scandir(where.root(f"{where.data}/{name}")))


def _rows(database: Path) -> dict[str, dict[str, dict[str, Any]]]:
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        for kind, id_, data in db.execute("SELECT kind, id, data FROM objects"):
            rows.setdefault(kind, {})[id_] = json.loads(data)
    return rows
