"""All objects, in memory and in the store: the one owner of desired state.

Reading is synchronous and always consistent, because everything runs in one event loop. A change is made in
memory at once, so that names and addresses are taken before anything is awaited, and is durable when
``commit`` returns; if the store refuses, memory is as before.

An operation that touches the kernel brackets its work with an *intent*: committed together with the new
object, deleted once the kernel agrees and before the client is told. An intent found at start names an object
of an operation that nobody was told about: it is rolled back (``restore.py``).
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from fairway.engine.protocols import Store
from fairway.model.container import Container, Volume
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import Endpoint, Network, Sandbox
from fairway.model.record import Change, Delete, Kind, Put

Stored = Network | Container | Endpoint | Sandbox | Volume
_KINDS: dict[type, Kind] = {
    Network: "network",
    Container: "container",
    Endpoint: "endpoint",
    Sandbox: "sandbox",
    Volume: "volume",
}


class Intent(msgspec.Struct, frozen=True):
    """A mark that an object is being created, or changed; ``kind`` and ``id`` name it."""

    kind: Kind
    id: str
    before: Container | None = None
    """What a container that is being changed was."""


def key(thing: Stored) -> str:
    """The row id: an endpoint is found by container and network, whatever its current id."""
    if isinstance(thing, Endpoint):
        return f"{thing.container_id}/{thing.network_id}"
    if isinstance(thing, Volume):
        return thing.name
    return thing.id


class State:
    """Objects by id, with the indexes that look-ups need."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._writer.submit(int)  # its thread is there from now on; later the host may have none left
        self._encoder = msgspec.json.Encoder()
        self.networks: dict[str, Network] = {}
        self.containers: dict[str, Container] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.volumes: dict[str, Volume] = {}
        self._intents: dict[str, Intent] = {}
        """Those found at start, by row id."""
        self._tables: dict[Kind, dict[str, Stored]] = {  # one view per kind on the typed dictionaries
            "network": self.networks,  # type: ignore[dict-item]
            "container": self.containers,  # type: ignore[dict-item]
            "endpoint": self.endpoints,  # type: ignore[dict-item]
            "sandbox": self.sandboxes,  # type: ignore[dict-item]
            "volume": self.volumes,  # type: ignore[dict-item]
        }
        self._network_names: dict[str, str] = {}
        self._container_names: dict[str, str] = {}
        self._of_container: dict[str, dict[str, str]] = {}
        self._of_network: dict[str, dict[str, str]] = {}
        self._linkers: dict[str, dict[str, str]] = {}
        self._owners: dict[str, str] = {}
        self._joined: dict[str, dict[str, str]] = {}
        self._orphans: dict[str, str] = {}
        self.host_interfaces: dict[str, str] = {}
        """Names of the host's ends of all endpoints, each with its endpoint's key."""

    def load(self) -> None:
        """Read everything from the store; blocking, once, before the engine serves. Raises System."""
        types: dict[str, type[Stored]] = {kind: cls for cls, kind in _KINDS.items()}

        def take(row: Put) -> None:
            if row.kind == "meta":
                self._intents[row.id] = msgspec.json.decode(row.data, type=Intent)
            else:
                self._put(msgspec.json.decode(row.data, type=types[row.kind]))

        self._store.load(take)

    def intents(self) -> list[Intent]:
        """Operations that were under way when the last daemon ended."""
        return list(self._intents.values())

    async def commit(
        self,
        *put: Stored,
        delete: Iterable[Stored] = (),
        begin: Stored | None = None,
        before: Container | None = None,
        end: Stored | Sequence[Stored] = (),
    ) -> None:
        """Insert or replace objects and delete others, in one transaction; all or nothing.

        ``begin`` marks an object as being created or, with what it was ``before``, changed; ``end`` takes
        marks away. A caller that is cancelled meanwhile leaves the change made.
        """
        gone = tuple(delete)
        changes = self._changes(put, gone, begin, end, before)
        replaced = [self._tables[_KINDS[type(o)]].get(key(o)) for o in put]
        self._apply(put, gone)
        try:
            await self._write(changes)
        except Exception:
            for thing, old in zip(put, replaced, strict=True):
                self._drop(thing) if old is None else self._put(old)
            for thing in gone:
                self._put(thing)
            raise

    async def record(
        self, *put: Stored, delete: Iterable[Stored] = (), end: Stored | Sequence[Stored] = ()
    ) -> None:
        """Like ``commit``, of what has happened already: memory keeps it even if the store refuses."""
        gone = tuple(delete)
        self._apply(put, gone)
        await self._write(self._changes(put, gone, None, end))

    def _apply(self, put: Sequence[Stored], gone: Sequence[Stored]) -> None:
        for thing in put:
            self._put(thing)
        for thing in gone:
            self._drop(thing)

    def _changes(
        self,
        put: Sequence[Stored],
        gone: Sequence[Stored],
        begin: Stored | None,
        end: Stored | Sequence[Stored],
        before: Container | None = None,
    ) -> list[Change]:
        changes: list[Change] = [Put(_KINDS[type(o)], key(o), self._encoder.encode(o)) for o in put]
        changes += [Delete(_KINDS[type(o)], key(o)) for o in gone]
        if begin is not None:
            intent = Intent(_KINDS[type(begin)], key(begin), before)
            changes.append(Put("meta", f"intent/{intent.kind}/{intent.id}", self._encoder.encode(intent)))
        ended = end if isinstance(end, Sequence) else (end,)
        changes += [Delete("meta", f"intent/{_KINDS[type(o)]}/{key(o)}") for o in ended]
        return changes

    def place(self, thing: Stored) -> None:
        """Put an object into memory alone, ahead of the commit that makes it durable."""
        self._put(thing)

    def displace(self, thing: Stored) -> None:
        """Take back what ``place`` put."""
        self._drop(thing)

    async def forget_intents(self) -> None:
        found, self._intents = self._intents, {}
        if found:
            await self._write([Delete("meta", name) for name in found])

    async def _write(self, changes: Sequence[Change]) -> None:
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self._store.commit, changes)
        await asyncio.shield(writing)

    def close(self) -> None:
        self._writer.shutdown()
        self._store.close()

    def _put(self, thing: Stored) -> None:
        table = self._tables[_KINDS[type(thing)]]
        old = table.get(key(thing))
        table[key(thing)] = thing
        match thing:
            case Network():
                self._network_names[thing.name] = thing.id
            case Container():
                if isinstance(old, Container) and old.name != thing.name:
                    self._container_names.pop(old.name, None)
                self._container_names[thing.name] = thing.id
                self._forget_links(old)
                self._forget_sandbox(old)
                if thing.sandbox:
                    self._owners[thing.sandbox] = thing.id
                if thing.joined:
                    self._joined.setdefault(thing.joined, {})[thing.id] = thing.id
                for link in thing.links:
                    self._linkers.setdefault(link.target, {})[thing.id] = link.alias
            case Endpoint():
                self._forget_interface(old)
                if thing.host_interface:
                    self.host_interfaces[thing.host_interface] = key(thing)
                self._of_container.setdefault(thing.container_id, {})[thing.network_id] = key(thing)
                self._of_network.setdefault(thing.network_id, {})[thing.container_id] = key(thing)
            case Sandbox():
                self._forget_orphan(old)
                if thing.orphan:
                    self._orphans[thing.orphan] = thing.id
            case _:
                pass

    def _drop(self, thing: Stored) -> None:
        old = self._tables[_KINDS[type(thing)]].pop(key(thing), None)
        match thing:
            case Network():
                if self._network_names.get(thing.name) == thing.id:
                    del self._network_names[thing.name]
            case Container():
                if self._container_names.get(thing.name) == thing.id:
                    del self._container_names[thing.name]
                self._forget_links(old)
                self._forget_sandbox(old)
            case Sandbox():
                self._forget_orphan(old)
            case Endpoint():
                self._forget_interface(old)
                _unlink(self._of_container, thing.container_id, thing.network_id)
                _unlink(self._of_network, thing.network_id, thing.container_id)
            case _:
                pass

    def _forget_interface(self, old: Stored | None) -> None:
        """Unless another endpoint has it meanwhile."""
        if isinstance(old, Endpoint) and self.host_interfaces.get(old.host_interface) == key(old):
            del self.host_interfaces[old.host_interface]

    def _forget_links(self, old: Stored | None) -> None:
        if isinstance(old, Container):
            for link in old.links:
                _unlink(self._linkers, link.target, old.id)

    def _forget_sandbox(self, old: Stored | None) -> None:
        """Unless another container owns it meanwhile."""
        if isinstance(old, Container):
            if self._owners.get(old.sandbox) == old.id:
                del self._owners[old.sandbox]
            _unlink(self._joined, old.joined, old.id)

    def _forget_orphan(self, old: Stored | None) -> None:
        if isinstance(old, Sandbox) and self._orphans.get(old.orphan) == old.id:
            del self._orphans[old.orphan]

    # Look-ups.

    def network(self, reference: str) -> Network:
        """By id, name, or unique id prefix: Docker's order."""
        found = self.networks.get(reference) or self.networks.get(self._network_names.get(reference, ""))
        if found:
            return found
        matches = _prefixed(self.networks, reference)
        if len(matches) > 1:
            raise InvalidParameter(
                f"network {reference} is ambiguous ({len(matches)} matches found on ID prefix)"
            )
        if not matches:
            raise NotFound(f"network {reference} not found")
        return self.networks[matches[0]]

    def network_named(self, name: str) -> Network | None:
        return self.networks.get(self._network_names.get(name, ""))

    def container(self, reference: str) -> Container:
        """By id, name, name that a link gives (``linker/alias``), or unique id prefix."""
        name = reference.removeprefix("/")
        found = self.containers.get(reference) or self.container_named(name) or self._linked(name)
        if found:
            return found
        matches = _prefixed(self.containers, reference)
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return self.containers[matches[0]]

    def _linked(self, name: str) -> Container | None:
        """By the name that a link gives: ``linker/alias``."""
        linker, slash, alias = name.partition("/")
        parent = self.container_named(linker) if slash else None
        links = parent.links if parent else ()
        return next((self.containers.get(link.target) for link in links if link.alias == alias), None)

    def linkers(self, container_id: str) -> list[Container]:
        """Containers that have a link to it, by id."""
        return [self.containers[linker] for linker in sorted(self._linkers.get(container_id, ()))]

    def owner(self, sandbox: str) -> Container | None:
        """The container whose sandbox it is."""
        return self.containers.get(self._owners.get(sandbox, ""))

    def joined(self, sandbox: str) -> list[Container]:
        """Containers that run, or are being started, in the sandbox of another one; oldest first."""
        found = [self.containers[id_] for id_ in self._joined.get(sandbox, ())]
        return sorted(found, key=lambda container: container.created)

    def inhabitants(self, sandbox: str) -> list[Container]:
        """The container whose sandbox it is, if there is one, and those that joined."""
        owner = self.owner(sandbox)
        return [*([owner] if owner else ()), *self.joined(sandbox)]

    def orphan(self, name: str) -> Sandbox | None:
        """The sandbox that a removed container of that name made, and in which others run."""
        return self.sandboxes.get(self._orphans.get(name, ""))

    def container_named(self, name: str) -> Container | None:
        return self.containers.get(self._container_names.get(name, ""))

    def endpoint(self, container_id: str, network_id: str) -> Endpoint | None:
        return self.endpoints.get(f"{container_id}/{network_id}")

    def attachments(self, container_id: str) -> list[tuple[Network, Endpoint]]:
        """A container's networks that still exist, with its endpoints, by network name."""
        pairs = [
            (self.networks[network_id], self.endpoints[row])
            for network_id, row in self._of_container.get(container_id, {}).items()
            if network_id in self.networks
        ]
        return sorted(pairs, key=lambda pair: pair[0].name)

    def endpoints_of(self, container_id: str) -> list[Endpoint]:
        """All of a container's endpoints, those on removed networks included."""
        return [self.endpoints[row] for row in self._of_container.get(container_id, {}).values()]

    def members(self, network_id: str) -> list[tuple[Container, Endpoint]]:
        """Containers attached to the network, running or not, by container id."""
        rows = self._of_network.get(network_id, {})
        return [
            (self.containers[container_id], self.endpoints[rows[container_id]])
            for container_id in sorted(rows)
            if container_id in self.containers
        ]


def _unlink(index: dict[str, dict[str, str]], outer: str, inner: str) -> None:
    index.get(outer, {}).pop(inner, None)
    if not index.get(outer):
        index.pop(outer, None)


def _prefixed(table: Iterable[str], prefix: str) -> list[str]:
    return [k for k in table if k.startswith(prefix)] if prefix else []
