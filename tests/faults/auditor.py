"""An auditor: does what the machine holds agree, in both directions, with what the API says?

It asks the API which networks and containers there are and how they are attached and published, works out by
itself what must then be in the kernel, on disk, in the store and in the process table, and compares that with
what ``reality`` reads. Whatever is missing, different, or there without a reason is a finding, in words.

    audit(where, api)                     findings now; empty: all is well
    audit_host(host)                      the same of a host of ``daemon_host``, once nothing moves any more

Links that are being deleted (``gone-…``), and processes of an exec, are nobody's findings at once, but are if
they stay. Other programs' rules and interfaces are left alone, as Fairway leaves them.
"""

import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from daemon_host import Host
from faults.api import Api
from faults.reality import Interface, Process, Reality, Sandbox, Where, read

_LINK = re.compile(r"veth[0-9a-f]{7}|br-[0-9a-f]{12}|gone-.*")
_NONE = {"bridges", "closed", "internal", "masqueraded", "same"}


@dataclass
class Said:
    """What the API says: networks by id, containers by id, names of volumes."""

    networks: dict[str, dict[str, Any]]
    containers: dict[str, dict[str, Any]]
    volumes: set[str]

    @classmethod
    def by(cls, api: Api) -> "Said":
        networks = {n["Id"]: n for n in api.get("/networks")}
        containers = {c["Id"]: api.get(f"/containers/{c['Id']}/json") for c in _all(api)}
        return cls(networks, containers, {v["Name"] for v in api.get("/volumes")["Volumes"] or ()})

    def running(self) -> dict[str, dict[str, Any]]:
        return {id_: c for id_, c in self.containers.items() if c["State"]["Running"]}

    def sharers(self, container_id: str) -> list[dict[str, Any]]:
        """Running containers in the network of this one, however they name it."""
        names = (container_id, self.containers[container_id]["Name"].strip("/"))
        modes = [f"container:{name}" for name in names]
        return [c for c in self.running().values() if c["HostConfig"]["NetworkMode"] in modes]

    def named(self, reference: str) -> dict[str, Any] | None:
        """A container by id or name."""
        names = {c["Name"].strip("/"): c for c in self.containers.values()}
        return self.containers.get(reference) or names.get(reference)

    def owners(self) -> dict[str, dict[str, Any]]:
        """Containers that have a sandbox now, by its path."""
        keyed = {c["NetworkSettings"]["SandboxKey"]: c for c in self.containers.values()}
        return {key: c for key, c in keyed.items() if key and c["HostConfig"]["NetworkMode"] != "host"}


def _all(api: Api) -> Any:
    return api.get("/containers/json", all=1)


@dataclass
class Audit:
    """One comparison; ``findings`` grows as it goes."""

    where: Where
    real: Reality
    said: Said
    known: frozenset[int] = frozenset()
    """Processes that may be there: the daemon under test and who started it."""
    seen: frozenset[str] = frozenset()
    """Containers that there have been: of those, too, no cgroup may be left."""
    findings: list[str] = field(default_factory=list)

    def __call__(self) -> list[str]:
        self._networks()
        self._sandboxes()
        self._firewall()
        self._ports()
        self._containers()
        self._files()
        self._mounts()
        self._store()
        self._processes()
        return self.findings

    def _differ(self, what: str, wanted: Iterable[Any], there: Iterable[Any]) -> None:
        wanted, there = set(wanted), set(there)
        self.findings += [f"{what} is missing: {_words(each)}" for each in sorted(wanted - there, key=str)]
        self.findings += [f"{what} is left over: {_words(each)}" for each in sorted(there - wanted, key=str)]

    def _say(self, condition: bool, finding: str) -> None:
        if not condition:
            self.findings.append(finding)

    # Networks.

    def _bridges(self) -> Iterator[tuple[dict[str, Any], str]]:
        for network in self.said.networks.values():
            if network["Driver"] == "bridge" and not network.get("ConfigOnly"):
                yield network, bridge_of(network)

    def _networks(self) -> None:
        expected = dict.fromkeys(name for _, name in self._bridges())
        for network, name in self._bridges():
            link = self.real.interfaces.get(name)
            if link is None:
                self.findings.append(f"network {network['Name']}: no bridge {name}")
                continue
            self._say(link.kind == "bridge" and link.up, f"network {network['Name']}: {name} is not up")
            wanted = {
                f"{pool['Gateway']}/{pool['Subnet'].partition('/')[2]}"
                for pool in network["IPAM"]["Config"] or ()
                if pool.get("Gateway")
            }
            wanted |= {"fe80::1/64"} if network["EnableIPv6"] else set()
            self._differ(f"address of {name}", map(_cidr, wanted), map(_cidr, link.addresses))
        for container, _, settings in self._endpoints():
            if outer := self._host_end(container, settings["MacAddress"]):
                expected[outer.name] = None
        ours = {
            name
            for name, link in self.real.interfaces.items()
            if link.alias.startswith("fairway:") or _LINK.fullmatch(name)
        }
        self._differ("interface", set(), ours - set(expected))

    def _endpoints(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """(container, network, settings) of all endpoints that are in use on bridges."""
        for container in self.said.owners().values():
            for settings in container["NetworkSettings"]["Networks"].values():
                network = self.said.networks.get(settings["NetworkID"])
                if network and network["Driver"] == "bridge" and settings["EndpointID"]:
                    yield container, network, settings

    def _host_end(self, container: dict[str, Any], mac: str) -> Interface | None:
        """The other end of the container's interface with that MAC: veths know each other's index."""
        box = self.real.sandboxes.get(container["NetworkSettings"]["SandboxKey"])
        inner = next((i for i in box.interfaces.values() if i.mac == mac), None) if box else None
        ends = (i for i in self.real.interfaces.values() if inner and inner.peer)
        return next((i for i in ends if inner and (i.index, i.peer) == (inner.peer, inner.index)), None)

    # Sandboxes.

    def _sandboxes(self) -> None:
        owners = self.said.owners()
        self._differ("namespace file", owners, self.real.sandboxes)
        for path, container in owners.items():
            box = self.real.sandboxes.get(path)
            if box is None:
                continue
            self._say(bool(box.id), f"{container['Name']}: no namespace is mounted at {path}")
            if box.id:
                self._sandbox(container, box)
            sharers = self.said.sharers(container["Id"])
            alive = container["State"]["Running"] or sharers
            self._say(bool(alive), f"{container['Name']} has a sandbox and nobody runs in it")

    def _sandbox(self, container: dict[str, Any], box: Sandbox) -> None:
        name = container["Name"]
        inside = {i.mac: i for i in box.interfaces.values() if i.name != "lo"}
        expected = {s["MacAddress"]: (n, s) for c, n, s in self._endpoints() if c is container}
        self._differ(f"{name}: interface", expected, inside)
        for mac in expected.keys() & inside.keys():
            network, settings = expected[mac]
            self._differ(
                f"{name}: address of {inside[mac].name}",
                map(_cidr, _addresses(settings)),
                map(_cidr, inside[mac].addresses),
            )
            self._say(inside[mac].up, f"{name}: {inside[mac].name} is down")
            outer = self._host_end(container, mac)
            if outer is None:
                self.findings.append(f"{name}: the host's end of {inside[mac].name} is missing")
                continue
            bridge = bridge_of(network)
            right = outer.master == bridge
            self._say(right, f"{name}: {outer.name} is a port of {outer.master!r}, not of {bridge}")
            self._say(outer.up, f"{name}: {outer.name} is down")
        ways = self._ways(container)
        wanted = {f"default via {gateway}" for gateway, _ in ways.values()}
        self._differ(f"{name}: route", wanted, box.routes)
        listening = {s for s in box.listening if s.endswith("127.0.0.11:53")}
        resolves = any(n["Name"] != "bridge" for c, n, _ in self._endpoints() if c is container)
        self._differ(
            f"{name}: DNS listener",
            {"udp 127.0.0.11:53", "tcp 127.0.0.11:53"} if resolves else (),
            listening,
        )

    def _ways(self, container: dict[str, Any]) -> dict[int, tuple[str, str]]:
        """Gateway and own address by family, of the networks that lead outside (Docker's ``gw-priority``)."""
        ways: dict[int, tuple[str, str]] = {}
        able = [(n, s) for c, n, s in self._endpoints() if c is container and not n["Internal"]]
        for _, settings in sorted(able, key=lambda p: (-p[1].get("GwPriority", 0), p[0]["Name"])):
            for kind, gateway, address in (
                (4, settings["Gateway"], settings["IPAddress"]),
                (6, settings["IPv6Gateway"], settings["GlobalIPv6Address"]),
            ):
                if gateway and address:
                    ways.setdefault(kind, (gateway, address))
        return ways

    # The firewall and published ports.

    def _firewall(self) -> None:
        wanted: set[tuple[str, ...]] = set()
        for network, bridge in self._bridges():
            options = network["Options"] or {}
            wanted |= {("bridges", bridge), ("same", bridge, bridge)}
            if network["Internal"]:
                wanted.add(("internal", bridge))
            elif options.get("com.docker.network.bridge.enable_ip_masquerade", "true") == "true":
                wanted.add(("masqueraded", bridge))
            if options.get("com.docker.network.bridge.enable_icc", "true") == "false":
                wanted.add(("closed", bridge))
        for container in self.said.owners().values():
            wanted |= set(self._published(container))
        there = {e for e in self.real.elements if not e[0].startswith("linked")}
        self._differ("element", wanted, {tuple(map(_canonical, e)) for e in there})
        self._say("inet fairway" in self.real.tables, "the table inet fairway is missing")

    def _published(self, container: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        ways, mappings = self._ways(container), list(_mappings(container))
        for protocol, inside, address, port in mappings:
            kind = int(ipaddress.ip_address(address).version)
            wild = ipaddress.ip_address(address).is_unspecified
            name = ("publish" if kind in ways else "proxied") + ("6" if kind == 6 else "")
            where = (protocol, str(port)) if wild else (address, protocol, str(port))
            name += "" if wild else "_at"
            yield (name, *where, *(("→", ways[kind][1], str(inside)) if kind in ways else ()))
        if mappings:
            for kind, (_, address) in ways.items():
                yield ("own6" if kind == 6 else "own", address, address)

    def _ports(self) -> None:
        wanted = set()
        for container in self.said.owners().values():
            for protocol, _, address, port in _mappings(container):
                wild = ipaddress.ip_address(address).is_unspecified
                wanted.add((protocol, "*" if wild else address, port))
        self._differ("held port", wanted, {h for h in self.real.held if h[0] != "sctp"})

    # Containers.

    def _containers(self) -> None:
        monitors = _monitors(self.real.processes.values())
        running = self.said.running()
        for id_ in sorted(set(monitors) - set(running)):
            self.findings.append(f"a conmon is left over: of container {id_[:12]}")
        for id_, container in running.items():
            name, pid = container["Name"], container["State"]["Pid"]
            self._say(id_ in monitors, f"{name} runs without a conmon")
            process = self.real.processes.get(pid) or _process(pid)
            if process is None or process.container != id_:
                self.findings.append(f"{name} is said to run as {pid}, which is not its process")
                continue
            self._network_of(container, process)
            for place in (f"run/bundles/{id_}", f"run/oci/{id_}"):
                self._say(place in self.real.files, f"{name} runs without {place}")
        self._differ("cgroup", (), {i for i in self.real.cgroups if i in self.seen and i not in running})

    def _network_of(self, container: dict[str, Any], process: Process) -> None:
        mode, name = container["HostConfig"]["NetworkMode"], container["Name"]
        if mode == "host":
            expected = os.readlink(f"/proc/{self.where.anchor}/ns/net")
        else:
            owner = container
            if mode.startswith("container:"):
                owner = self.said.named(mode.partition(":")[2]) or container
            box = self.real.sandboxes.get(owner["NetworkSettings"]["SandboxKey"])
            if box is None:
                return  # a finding already, or an owner that was removed
            expected = box.id
        self._say(process.network == expected, f"{name} runs in {process.network}, its sandbox is {expected}")

    # What lies around.

    def _files(self) -> None:
        containers, running = set(self.said.containers), set(self.said.running())
        ever = {f for f in self.real.files if f.startswith("run/oci/.")}
        wanted = {f"run/netns/{os.path.basename(key)}" for key in self.said.owners()}
        wanted |= {f"run/{kind}/{id_}" for kind in ("bundles", "oci", "attach") for id_ in running}
        wanted |= {f"run/rootfs/{id_}" for id_ in running}
        wanted |= {f"data/layers-rw/{id_}" for id_ in running}
        wanted |= {f"data/volumes/{name}" for name in self.said.volumes}
        allowed = {f"data/{kind}/{id_}" for kind in ("containers", "layers-rw") for id_ in containers}
        allowed |= {f"run/rootfs/{id_}" for id_ in containers} | ever
        self._differ("file", wanted, self.real.files - (allowed - wanted))

    def _mounts(self) -> None:
        wanted = {path: ["nsfs"] for path in self.said.owners()}
        wanted |= {f"{self.where.run}/rootfs/{id_}": ["overlay"] for id_ in self.said.running()}
        there = {place: kinds for place, kinds in self.real.mounts.items() if place != self.where.run}
        shared = {p for p in there if p.endswith("/shm") and p.split("/")[-2] in self.said.running()}
        pairs = {(p, *kinds) for p, kinds in there.items() if p not in shared and p != self.where.data}
        self._differ("mount", {(p, *kinds) for p, kinds in wanted.items()}, pairs)

    def _store(self) -> None:
        rows = self.real.rows
        self._differ("row of a network", self.said.networks, rows.get("network", ()))
        self._differ("row of a container", self.said.containers, rows.get("container", ()))
        self._differ("row of a volume", self.said.volumes, rows.get("volume", ()))
        intents = {key for key in rows.get("meta", ()) if key.startswith("intent/")}
        self._differ("intent", (), intents)
        keys = {c["NetworkSettings"]["SandboxID"] for c in self.said.owners().values()}
        self._differ("row of a sandbox", keys, rows.get("sandbox", ()))
        attached = {
            f"{id_}/{settings['NetworkID']}"
            for id_, container in self.said.containers.items()
            for settings in container["NetworkSettings"]["Networks"].values()
            if settings["NetworkID"]
        }
        there = rows.get("endpoint", {})
        self._differ("row of an endpoint", (), there.keys() - attached)
        taken: dict[str, str] = {}
        for key, row in there.items():
            for address in row.get("addresses", ()):
                place = f"{address} of {row['network_id']}"
                self._say(place not in taken, f"{address} is taken twice: by {taken.get(place)} and {key}")
                taken[place] = key
                active = any(s["EndpointID"] == row.get("id") for _, _, s in self._endpoints())
                self._say(active, f"{address} is kept by an endpoint that is not in use: {key}")

    def _processes(self) -> None:
        running = self.said.running()
        boxes = {b.id for b in self.real.sandboxes.values()}
        for process in self.real.processes.values():
            text = " ".join(process.words)
            if process.pid in self.known or process.parent in self.known or process.pid == self.where.anchor:
                continue
            if process.container in running or any(id_ in process.words for id_ in running):
                continue
            if "fairway.dns.server" in text or "fairway.ports.holder" in text or not text:
                continue
            place = "in a sandbox" if process.network in boxes else "on the host"
            self.findings.append(f"process is left over {place}: {process.pid} {text[:120]}")


def audit(
    where: Where, api: Api, known: Iterable[int] = (), seen: Iterable[str] = (), real: Reality | None = None
) -> list[str]:
    """Look once; findings in words."""
    said = Said.by(api)
    return Audit(where, real or read(where), said, frozenset(known), frozenset(seen))()


def audit_host(host: Host, patience: float = 5.0) -> list[str]:
    """What is wrong on a host of ``daemon_host`` with its daemon running, once nothing moves any more."""
    assert host._daemon
    where = Where(host._host.pid, "/run/fairway", f"{host.directory}/data")
    api, known = Api(host.reachable_socket), (host._daemon.pid,)
    return settled(lambda: audit(where, api, known), patience)


def settled(look: Callable[[], list[str]], patience: float = 5.0, pause: float = 0.05) -> list[str]:
    """What ``look`` finds once nothing moves any more, or when patience ends."""
    deadline = time.monotonic() + patience
    while (findings := look()) and time.monotonic() < deadline:
        time.sleep(pause)
    return findings


def bridge_of(network: dict[str, Any]) -> str:
    options = network["Options"] or {}
    return str(options.get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")


def _addresses(settings: dict[str, Any]) -> Iterator[str]:
    if settings["IPAddress"]:
        yield f"{settings['IPAddress']}/{settings['IPPrefixLen']}"
    if settings["GlobalIPv6Address"]:
        yield f"{settings['GlobalIPv6Address']}/{settings['GlobalIPv6PrefixLen']}"


def _mappings(container: dict[str, Any]) -> Iterator[tuple[str, int, str, int]]:
    """Protocol, container's port, host's address and port.

    Of one that has ended while others run in its network inspect shows no ports, and it keeps them.
    """
    ports = container["NetworkSettings"]["Ports"]
    if not container["State"]["Running"]:
        ports = {
            inside: [b | {"HostIp": address} for b in bindings for address in _hosts(b["HostIp"])]
            for inside, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
        }
    for inside, bindings in (ports or {}).items():
        number, _, protocol = inside.partition("/")
        for binding in bindings or ():
            yield protocol, int(number), binding["HostIp"], int(binding["HostPort"])


def _hosts(address: str) -> tuple[str, ...]:
    return (address,) if address else ("0.0.0.0", "::")


def _monitors(processes: Iterable[Process]) -> dict[str, int]:
    """Containers that have a conmon."""
    result = {}
    for process in processes:
        if os.path.basename(process.words[0]) == "conmon" and "--cid" in process.words:
            result[process.words[process.words.index("--cid") + 1]] = process.pid
    return result


def _process(pid: int) -> Process | None:
    """One that is in namespaces of its own and was not looked at."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            ids = re.findall(r"[0-9a-f]{64}", file.read())
        return Process(pid, (), os.readlink(f"/proc/{pid}/ns/net"), "", ids[0] if ids else "", 0)
    except OSError:
        return None


def _cidr(text: str) -> str:
    return str(ipaddress.ip_interface(text))


def _canonical(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word)) if ":" in word or word.count(".") == 3 else word
    except ValueError:
        return word


def _words(each: Any) -> str:
    return " ".join(map(str, each)) if isinstance(each, tuple) else str(each)
