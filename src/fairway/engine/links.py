"""Links on the default bridge: one container, the linker, knows another, the target, by an alias.

    create     names become containers; the link means this target, whatever it is called later
    start      the target must run. Its addresses and exposed ports go to the linker's environment and hosts
    icc=false  what the target exposes is open to the linker while both are on the network
    restart    of the target: hosts and openings follow; a running process' environment cannot
    removal    of the target: nothing leads to it any more, and no later container of its name is meant (R127)

In user-defined networks a link is a private DNS alias and nothing else, see ``names.zone``; so are texts and
variables here those of Docker (moby, ``daemon/links`` and ``daemon/container_operations``).
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fairway.engine.core import Core
from fairway.engine.dependence import network_owner
from fairway.engine.files import relinked
from fairway.engine.state import State
from fairway.engine.teardown import withdraw_wholly
from fairway.firewall.links import opened
from fairway.firewall.ruleset import LINKED
from fairway.model.address import Address, family, host
from fairway.model.container import Config, Container, Link
from fairway.model.errors import Fault, InvalidParameter, NotFound, System
from fairway.model.network import Network
from fairway.plan import Element, Fact, withdraw

WARNING = (
    "Links on the default bridge network are deprecated and will be removed in a future release. "
    "Use a custom network instead."
)
_PRIVATE = ("HOME", "PATH")
"""Variables of the target that say nothing to others."""


def parse_link(text: str) -> tuple[str, str]:
    """Name and alias of ``name``, ``name:alias``, or ``/name:/linker/alias`` as inspect shows it."""
    parts = text.split(":")
    if not text:
        raise InvalidParameter("empty string specified for links")
    if len(parts) > 2 or any(c.isspace() or not c.isprintable() for c in text):
        raise InvalidParameter(f"bad format for links: {text}")
    name, alias = parts[0], parts[-1]
    if name.startswith("/"):
        name, alias = name[1:], alias.rpartition("/")[2]
    if not name or not alias or "/" in alias:
        raise InvalidParameter(f"bad format for links: {text}")
    return name, alias


def resolved(state: State, texts: Iterable[str]) -> tuple[Link, ...]:
    """The containers that the texts name; of two links with one alias the first stands.

    A target that shares another container's network means that one. Raises InvalidParameter.
    """
    links: dict[str, Link] = {}
    for text in texts:
        name, alias = parse_link(text)
        target = _target(state, name)
        if target.host.network_mode == "host":
            raise InvalidParameter(
                "conflicting options: host type networking can't be used with links. "
                "This would result in undefined behavior"
            )
        links.setdefault(alias, Link(target=target.id, name=target.name, alias=alias))
    return tuple(links.values())


def _target(state: State, name: str) -> Container:
    """Not NotFound: the CLI would take that to be about the image."""
    try:
        return network_owner(state, state.container(name))
    except NotFound as fault:
        raise InvalidParameter(f"could not get container for {name}: {fault.message}") from None


def spelled(state: State, container: Container) -> list[str]:
    """``HostConfig.Links`` as inspect shows it: ``/target:/linker/alias``."""
    return [f"/{_name(state, link)}:/{container.name}/{link.alias}" for link in container.links]


def names(state: State, container: Container) -> list[str]:
    """All names of a container: its own, and those that its linkers give it (``/web/db``)."""
    given = [
        f"/{linker.name}/{link.alias}"
        for linker in state.linkers(container.id)
        for link in linker.links
        if link.target == container.id
    ]
    return sorted([f"/{container.name}", *given])


def _name(state: State, link: Link) -> str:
    target = state.containers.get(link.target)
    return target.name if target else link.name


# What a link gives.


def _attached(state: State, container_id: str) -> tuple[Network, tuple[Address, ...]] | None:
    """The default bridge and the container's addresses there; none while it has no endpoint in use."""
    for network, endpoint in state.attachments(container_id):
        if network.bridge and network.bridge.default_bridge:
            return network, tuple(host(a) for a in endpoint.addresses)
    return None


def elements(state: State, container: Container) -> tuple[Element, ...]:
    """What all links that the container takes part in, on either side, open in the firewall."""
    pairs = [(container.id, link.target) for link in container.links]
    pairs += [(linker.id, container.id) for linker in state.linkers(container.id)]
    return tuple(dict.fromkeys(e for linker, target in pairs for e in _opened(state, linker, target)))


def _opened(state: State, linker_id: str, target_id: str) -> Iterator[Element]:
    linker, target = _attached(state, linker_id), _attached(state, target_id)
    if not linker or not target or not linker[0].bridge or linker[0].bridge.icc:
        return
    ports = _exposed(state.containers[target_id].config)
    for source in linker[1]:
        for address in target[1]:
            if family(source) == family(address):
                yield from opened(source, address, ports)


def _exposed(config: Config) -> list[tuple[str, int]]:
    """Protocols and ports, TCP first, then by protocol and number."""
    split = (port.partition("/") for port in config.exposed_ports)
    ports = [(protocol or "tcp", int(number)) for number, _, protocol in split]
    return sorted(ports, key=lambda port: (port[0] != "tcp", *port))


def environment(state: State, container: Container) -> tuple[str, ...]:
    """The variables that the container's links give its process.

    Raises System when a target does not run, or is not on the default bridge.
    """
    if not container.links or _attached(state, container.id) is None:
        return ()
    result: list[str] = []
    for link in container.links:
        target = state.containers.get(link.target)
        there = _attached(state, link.target)
        path = f"/{container.name}/{link.alias}"
        if target and there is None:
            raise System(f"cannot link to /{target.name}, as it does not belong to the default network")
        if target is None or there is None or not target.state.running or not there[1]:
            raise System(f"Cannot link to a non running container: /{_name(state, link)} AS {path}")
        result += variables(path, there[1][0], target.config)
    return tuple(result)


def variables(path: str, address: Address, config: Config) -> list[str]:
    """Docker's variables for one link: its name, each exposed port, each range, the target's environment."""
    prefix = path.rpartition("/")[2].upper().replace("-", "_")
    ports = _exposed(config)
    at = f"[{address}]" if family(address) == 6 else address
    result = [f"{prefix}_NAME={path}"]
    if ports:
        protocol, port = min(ports, key=lambda each: (each[1], each[0] != "tcp"))
        result.append(f"{prefix}_PORT={protocol}://{at}:{port}")
    for protocol, port in ports:
        name = f"{prefix}_PORT_{port}_{protocol.upper()}"
        result += [
            f"{name}={protocol}://{at}:{port}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={port}",
            f"{name}_PROTO={protocol}",
        ]
    for protocol, first, last in _ranges(ports):
        name = f"{prefix}_PORT_{first}_{protocol.upper()}"
        result += [
            f"{name}_START={protocol}://{at}:{first}",
            f"{name}_PORT_START={first}",
            f"{name}_END={protocol}://{at}:{last}",
            f"{name}_PORT_END={last}",
        ]
    for entry in config.env:
        name, given, value = entry.partition("=")
        if given and name not in _PRIVATE:
            result.append(f"{prefix}_ENV_{name}={value}")
    return result


def _ranges(ports: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    """Runs of three or more consecutive ports of one protocol: protocol, first, last."""
    start = 0
    for i, (protocol, port) in enumerate(ports, 1):
        if i < len(ports) and ports[i] == (protocol, port + 1):
            continue
        if i - start > 2:
            yield protocol, ports[start][1], port
        start = i


class Links:
    """Keeps the hosts files of running linkers, and the firewall, in step."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def settle(self, container: Container, established: Iterable[Fact]) -> None:
        """Close what was opened for links whose other side has left meanwhile, not knowing of it yet."""
        tables = frozenset(LINKED.values())
        opened = [f for f in established if isinstance(f, Element) and f.table_object in tables]
        if surplus := set(opened).difference(elements(self._core.state, container)):
            await withdraw_wholly(self._core, withdraw(surplus), container.name)

    def introduce(self, container: Container) -> None:
        """Write where a container that starts finds its targets, and where its linkers find it.

        Raises System if its own file cannot be written.
        """
        for link in container.links:
            self._write(container, link)
        for linker, link in self._links_to(container.id):
            self._rewrite(linker, link)

    def forget(self, target_id: str) -> None:
        """The target was removed: its alias leads nowhere, rather than to the next who has its address."""
        for linker, link in self._links_to(target_id):
            self._rewrite(linker, link)

    async def remove(self, reference: str) -> None:
        """``docker rm --link LINKER/ALIAS``: the link goes, both containers stay."""
        state = self._core.state
        parent, _, alias = reference.removeprefix("/").partition("/")
        if not alias:
            raise System("Conflict, cannot remove the default link name of the container")
        linker = state.container(parent)
        async with self._core.locks.hold(f"container/{linker.id}"):
            linker = state.container(linker.id)
            gone = next((link for link in linker.links if link.alias == alias), None)
            if gone is None:
                raise NotFound(f"No such container: {reference}")
            before = elements(state, linker)
            kept = tuple(link for link in linker.links if link is not gone)
            linker = msgspec.structs.replace(linker, links=kept)
            await state.commit(linker)
            await self.settle(linker, before)
            if linker.state.active:
                self._rewrite(linker, gone, gone=True)

    def _links_to(self, target_id: str) -> list[tuple[Container, Link]]:
        return [
            (linker, link)
            for linker in self._core.state.linkers(target_id)
            if linker.state.active
            for link in linker.links
            if link.target == target_id
        ]

    def _rewrite(self, linker: Container, link: Link, *, gone: bool = False) -> None:
        try:
            self._write(linker, link, gone=gone)
        except Fault as fault:
            self._core.log.warning("hosts stays as it was", container=linker.name, error=fault.message)

    def _write(self, linker: Container, link: Link, *, gone: bool = False) -> None:
        state = self._core.state
        target = None if gone else state.containers.get(link.target)
        addresses: tuple[Address, ...] = ()
        words = [link.alias]
        if target and _attached(state, linker.id):
            there = _attached(state, target.id)
            addresses = there[1] if there else ()
            words = list(dict.fromkeys((link.alias, target.config.hostname, target.name)))
        self._core.files.edit(
            linker.id, "hosts", lambda text: relinked(text, link.alias, " ".join(words), addresses)
        )
