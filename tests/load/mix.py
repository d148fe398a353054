"""What the clients do: random requests on few names, and what each reply says about which cell (``history``).

    network/NAME     free, or taken by a network's id
    name/NAME        free, or taken by a container's id
    process/ID       no container, or idle, running, paused
    endpoint/ID/NET  not connected, or connected

Networks are spoken of by name. Containers are created and renamed by name and otherwise spoken of by id, as a
reply about a name that moves meanwhile says nothing definite. A reply that this file cannot explain, an
unforeseen status, or a listing in which something is there twice, is a complaint.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from random import Random
from typing import Any

from load.history import FREE, TAKEN, Effect, Operation, change, contradiction, leave, maybe, see, seen, take
from load.wire import Client, Reply

NETWORKS = tuple(f"n{i}" for i in range(6))
NAMES = tuple(f"c{i}" for i in range(14))
PORTS = tuple(range(21_000, 21_008))
IDLE, RUNNING, PAUSED, CONNECTED = "idle", "running", "paused", "connected"
ALLOWED_FAILURES = re.compile(r"port is already allocated|address already in use|all ports are allocated")
"""Texts of the 500s that Docker gives in the same place."""


class Journal:
    """What all clients were told."""

    def __init__(self) -> None:
        self.cells: dict[str, list[Operation]] = defaultdict(list)
        self.complaints: list[str] = []
        self.replies: Counter[tuple[str, int]] = Counter()
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.known: dict[str, tuple[str, str]] = {}
        """Containers that may still be there: id → the network of its mode, and the name it began with."""
        self._ends: dict[str, list[Operation]] = defaultdict(list)
        self._endings: dict[str, list[Operation]] = defaultdict(list)
        self._removals: dict[str, list[Operation]] = defaultdict(list)
        self._renamed: dict[str, list[Operation]] = defaultdict(list)
        self._lost: dict[str, list[Reply]] = defaultdict(list)
        self._names: dict[str, set[str]] = defaultdict(set)
        """Those that a container has ever had."""

    def note(self, cell: str, reply: Reply, effect: Effect, told: str) -> None:
        self.cells[cell].append(Operation(reply.sent, reply.answered, effect, told))

    def containers(self) -> Collection[str]:
        """Ids of all that have ever been."""
        return self._names.keys()

    def ended(self, container: str, reply: Reply, told: str) -> None:
        """A reply to who asked for the process's end. Who asks at the same time is told the same."""
        self._ends[container].append(Operation(reply.sent, reply.answered, TAKEN, told))
        self.ending(container, reply, told)

    def ending(self, container: str, reply: Reply, told: str) -> None:
        """The process may have been ended on the way."""
        self._endings[container].append(Operation(reply.sent, reply.answered, TAKEN, told))

    def named(self, container: str, name: str, reply: Reply, told: str) -> None:
        """It has this name now, and none that it had before."""
        self.note(f"name/{name}", reply, take(container), told)
        self._names[container].add(name)
        self._renamed[container].append(Operation(reply.sent, reply.answered, leave(container), name))

    def removed(self, container: str, reply: Reply, told: str) -> None:
        self._removals[container].append(Operation(reply.sent, reply.answered, TAKEN, told))
        self.known.pop(container, None)

    def network_removed(self, name: str, reply: Reply) -> None:
        self._lost[name].append(reply)

    def contradictions(self) -> list[str]:
        """Cells with a history that no order explains, with its last operations."""
        self._complete()
        found = []
        for cell, operations in self.cells.items():
            if wrong := contradiction(operations):
                lines = [f"  {o.sent:.4f} to {o.answered:.4f}: {o.told}" for o in wrong[-16:]]
                found.append("\n".join([f"{cell}: no order explains", *lines]))
        return found

    def _complete(self) -> None:
        for container, operations in self._endings.items():
            self.cells[f"process/{container}"] += [_with(one, _MAYBE_THAWED) for one in operations]
        for container, operations in self._ends.items():
            for one in operations:
                also = (IDLE,) if _overlaps(one, self._endings[container]) else ()
                effect = _either(change(RUNNING, IDLE, *also), change(PAUSED, IDLE))
                self.cells[f"process/{container}"].append(_with(one, effect))
        for container, operations in self._removals.items():
            for one in operations:
                also = (FREE,) if _overlaps(one, operations) else ()
                self.cells[f"process/{container}"].append(_with(one, change(IDLE, FREE, *also)))
        for container, operations in self._renamed.items():
            for one in operations:
                for name in self._names[container] - {one.told}:
                    told = f"{container[:12]} got the name {one.told}"
                    self.cells[f"name/{name}"].append(Operation(one.sent, one.answered, one.effect, told))
        endpoints = [cell for cell in self.cells if cell.startswith("endpoint/")]
        for container, operations in self._removals.items():
            first = min(operations, key=lambda o: o.answered)
            for name in self._names[container]:
                self.cells[f"name/{name}"].append(_with(first, leave(container)))
            for cell in endpoints:
                if cell.split("/")[1] == container:
                    self.cells[cell].append(_with(first, leave(CONNECTED)))
        for name, replies in self._lost.items():
            for cell in endpoints:
                if cell.split("/")[2] == name:
                    for reply in replies:
                        self.note(cell, reply, leave(CONNECTED), f"network {name} removed")


def _overlaps(one: Operation, others: Sequence[Operation]) -> bool:
    """By another one: ``one`` may be there itself."""
    return sum(o.sent < one.answered and one.sent < o.answered for o in others) > 1


def _with(one: Operation, effect: Effect) -> Operation:
    return Operation(one.sent, one.answered, effect, one.told)


def _either(*effects: Effect) -> Effect:
    return Effect(lambda before: {after for effect in effects for after in effect.after(before)})


def _maybe(value: str) -> Effect:
    """It is so now, or nothing has changed."""
    return maybe(lambda before: (value,))


FREED = Effect(lambda before: (FREE,) if before else ())
"""Was taken by anybody, is free."""


class Person:
    """One client: chooses by its own dice, writes into the common journal."""

    def __init__(self, client: Client, journal: Journal, dice: Random, image: str) -> None:
        self._client, self._journal, self._dice, self._image = client, journal, dice, image
        verbs: dict[Callable[[], Awaitable[None]], int] = {
            self.create_network: 5,
            self.remove_network: 4,
            self.look_at_network: 3,
            self.create: 8,
            self.remove: 5,
            self.start: 9,
            self.stop: 3,
            self.kill: 2,
            self.restart: 1,
            self.pause: 1,
            self.unpause: 2,
            self.rename: 3,
            self.connect: 6,
            self.disconnect: 5,
            self.publish: 3,
            self.exec: 3,
            self.run_and_forget: 2,
            self.look: 3,
            self.list: 2,
        }
        self._verbs, self._weights = list(verbs), list(verbs.values())

    async def act(self) -> None:
        (verb,) = self._dice.choices(self._verbs, self._weights)
        await verb()

    # Networks.

    async def create_network(self) -> None:
        name = self._dice.choice(NETWORKS)
        reply = await self._call("network create", "POST", "/networks/create", {"Name": name})
        told = f"create network {name}: {_short(reply)}"
        if reply.status == 201:
            self._note(f"network/{name}", reply, take(reply.json()["Id"]), told)
        else:
            self._expect(reply, told, {(409, "already exists"): (f"network/{name}", TAKEN)})

    async def remove_network(self) -> None:
        name = self._dice.choice(NETWORKS)
        reply = await self._call("network remove", "DELETE", f"/networks/{name}")
        told = f"remove network {name}: {_short(reply)}"
        if reply.status == 204:
            self._note(f"network/{name}", reply, FREED, told)
            self._journal.network_removed(name, reply)
        else:
            texts = {(404, "not found"): see(FREE), (403, "has active endpoints"): TAKEN}
            self._expect(reply, told, {text: (f"network/{name}", effect) for text, effect in texts.items()})

    async def look_at_network(self) -> None:
        name = self._dice.choice(NETWORKS)
        reply = await self._call("network inspect", "GET", f"/networks/{name}")
        told = f"inspect network {name}: {_short(reply)}"
        if reply.status == 200:
            network = reply.json()
            self._note(f"network/{name}", reply, see(network["Id"]), told)
            members = network["Containers"].values()
            self._once(f"addresses of {name}", [member["IPv4Address"] for member in members])
            self._once(f"MAC addresses of {name}", [member["MacAddress"] for member in members])
        else:
            self._expect(reply, told, {(404, "not found"): (f"network/{name}", see(FREE))})

    # Containers.

    async def create(self) -> None:
        name, network = self._dice.choice(NAMES), self._dice.choice((*NETWORKS, "bridge"))
        port = self._dice.choice(("", "", *map(str, PORTS)))
        bindings = {"80/tcp": [{"HostPort": port}]} if self._dice.random() < 0.5 else {}
        reply = await self._call(
            "create", "POST", f"/containers/create?name={name}", self._body(network, PortBindings=bindings)
        )
        told = f"create {name} on {network}: {_short(reply)}"
        if reply.status == 201:
            id_ = reply.json()["Id"]
            self._journal.named(id_, name, reply, told)
            self._note(f"process/{id_}", reply, take(IDLE), told)
            self._note(f"endpoint/{id_}/{network}", reply, _maybe(CONNECTED), told)
            self._journal.known[id_] = (network, name)
        else:
            self._expect(reply, told, {(409, "already in use by container"): (f"name/{name}", TAKEN)})

    def _body(self, network: str, **host: Any) -> dict[str, Any]:
        """A process that any signal ends, as it is not the first of its namespace to know of."""
        return {
            "Image": self._image,
            "Cmd": ["sleep", "1000"],
            "StopSignal": "SIGKILL",
            "HostConfig": {"NetworkMode": network, **host},
        }

    async def remove(self) -> None:
        if not (id_ := self._any()):
            return
        force = self._dice.random() < 0.6
        reply = await self._call("remove", "DELETE", f"/containers/{id_}?v=1&force={int(force)}")
        told = f"remove {id_[:12]}{' by force' if force else ''}: {_short(reply)}"
        if force:
            self._ended_on_the_way(id_, reply, told)
        if reply.status == 204:
            self._journal.removed(id_, reply, told)
        else:
            self._expect_of(id_, reply, told, {(409, "container is (running|paused)|started again"): _ACTIVE})

    async def start(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("start", "POST", f"/containers/{id_}/start")
        told = f"start {id_[:12]}: {_short(reply)}"
        self._may_connect(id_, reply, told)
        if reply.status == 204:
            self._note(f"process/{id_}", reply, change(IDLE, RUNNING), told)
        elif reply.status == 304:
            self._note(f"process/{id_}", reply, see(RUNNING), told)
        else:
            texts = {
                (409, "cannot start a paused container"): see(PAUSED),
                (409, "marked for removal"): TAKEN,
                (404, "network .* not found"): see(IDLE),
            }
            self._expect_of(id_, reply, told, texts)

    def _may_connect(self, id_: str, reply: Reply, told: str) -> None:
        """A start attaches a container that is on no network to that of its mode, even if it fails later."""
        network, _ = self._journal.known.get(id_, ("bridge", ""))
        self._note(f"endpoint/{id_}/{network}", reply, _maybe(CONNECTED), told)

    async def stop(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("stop", "POST", f"/containers/{id_}/stop?t=5")
        told = f"stop {id_[:12]}: {_short(reply)}"
        if reply.status == 204:
            self._journal.ended(id_, reply, told)
        elif reply.status == 304:
            self._note(f"process/{id_}", reply, see(IDLE), told)
        else:
            self._expect_of(id_, reply, told, {})

    async def kill(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("kill", "POST", f"/containers/{id_}/kill")
        told = f"kill {id_[:12]}: {_short(reply)}"
        if reply.status == 204:
            self._journal.ended(id_, reply, told)
        else:
            self._expect_of(id_, reply, told, {(409, "is not running"): see(IDLE)})

    async def restart(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("restart", "POST", f"/containers/{id_}/restart?t=5")
        told = f"restart {id_[:12]}: {_short(reply)}"
        self._may_connect(id_, reply, told)
        self._ended_on_the_way(id_, reply, told)
        if reply.status == 204:
            self._note(f"process/{id_}", reply, change(IDLE, RUNNING, RUNNING), told)
        else:
            texts = {
                (409, "marked for removal"): TAKEN,
                (409, "paused"): see(PAUSED),
                (404, "network .* not found"): see(IDLE),
            }
            self._expect_of(id_, reply, told, texts)

    async def pause(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("pause", "POST", f"/containers/{id_}/pause")
        told = f"pause {id_[:12]}: {_short(reply)}"
        if reply.status == 204:
            self._note(f"process/{id_}", reply, change(RUNNING, PAUSED), told)
        else:
            if "is not running" in reply.message:  # its process has ended on the way, maybe
                self._note(f"process/{id_}", reply, _MAYBE_PAUSED, told)
            texts = {(409, "already paused"): see(PAUSED), (409, "is not running"): see(IDLE)}
            self._expect_of(id_, reply, told, texts)

    async def unpause(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("unpause", "POST", f"/containers/{id_}/unpause")
        told = f"unpause {id_[:12]}: {_short(reply)}"
        if reply.status == 204:
            self._note(f"process/{id_}", reply, change(PAUSED, RUNNING), told)
        else:
            self._expect_of(id_, reply, told, {(409, "is not paused|is not running"): _NOT_PAUSED})

    async def rename(self) -> None:
        if not (id_ := self._any()):
            return
        name = self._dice.choice(NAMES)
        reply = await self._call("rename", "POST", f"/containers/{id_}/rename?name={name}")
        told = f"rename {id_[:12]} to {name}: {_short(reply)}"
        if reply.status == 204:
            self._journal.named(id_, name, reply, told)
        elif reply.status == 400 and "same name" in reply.message:
            self._note(f"name/{name}", reply, see(id_), told)
        elif reply.status == 409 and "already in use by container" in reply.message:
            self._note(f"name/{name}", reply, TAKEN, told)
        else:
            self._expect_of(id_, reply, told, {})

    async def connect(self) -> None:
        if not (id_ := self._any()):
            return
        network = self._dice.choice(NETWORKS)
        body = {"Container": id_}
        reply = await self._call("connect", "POST", f"/networks/{network}/connect", body)
        told = f"connect {id_[:12]} to {network}: {_short(reply)}"
        cell = f"endpoint/{id_}/{network}"
        if reply.status == 200:
            self._note(cell, reply, take(CONNECTED), told)
            self._note(f"network/{network}", reply, TAKEN, told)
        elif reply.status == 403 and "already exists in network" in reply.message:
            self._note(cell, reply, see(CONNECTED), told)
        elif reply.status == 404 and "network" in reply.message:
            self._note(f"network/{network}", reply, see(FREE), told)
        else:
            self._expect_of(id_, reply, told, {(409, "marked for removal"): TAKEN})

    async def disconnect(self) -> None:
        if not (id_ := self._any()):
            return
        network = self._dice.choice((*NETWORKS, "bridge"))
        body = {"Container": id_}
        reply = await self._call("disconnect", "POST", f"/networks/{network}/disconnect", body)
        told = f"disconnect {id_[:12]} from {network}: {_short(reply)}"
        cell = f"endpoint/{id_}/{network}"
        if reply.status == 200:
            self._note(cell, reply, change(CONNECTED, FREE), told)
        elif reply.status == 403 and "is not connected to" in reply.message:
            self._note(cell, reply, see(FREE), told)
        elif reply.status == 404 and "network" in reply.message:
            self._note(f"network/{network}", reply, see(FREE), told)
        else:
            self._expect_of(id_, reply, told, {})

    async def publish(self) -> None:
        """Publish a port on a container as it is, or nothing any more."""
        if not (id_ := self._any()):
            return
        port = self._dice.choice(("", *map(str, PORTS)))
        bindings = [{"HostPort": port}] if self._dice.random() < 0.6 else []
        body = {"PortBindings": {"80/tcp": bindings}}
        reply = await self._call("publish", "POST", f"/containers/{id_}/update", body)
        told = f"publish {bindings} of {id_[:12]}: {_short(reply)}"
        if reply.status == 200:
            self._note(f"process/{id_}", reply, TAKEN, told)
        else:
            self._expect_of(id_, reply, told, {(409, "marked for removal"): TAKEN})

    async def exec(self) -> None:
        if not (id_ := self._any()):
            return
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        reply = await self._call("exec create", "POST", f"/containers/{id_}/exec", body)
        told = f"exec in {id_[:12]}: {_short(reply)}"
        texts = {(409, "is not running"): see(IDLE), (409, "is paused"): see(PAUSED)}
        if reply.status != 201:
            self._expect_of(id_, reply, told, texts)
            return
        self._note(f"process/{id_}", reply, see(RUNNING), told)
        path = f"/exec/{reply.json()['Id']}/start"
        started = await self._call("exec start", "POST", path, {"Detach": False, "Tty": False})
        told = f"exec start in {id_[:12]}: {_short(started)}"
        if started.status != 200:  # the runtime may see the process end a moment before the engine does
            begun = {(409, "is not running|cannot exec in|paused"): TAKEN, (404, "exec instance"): TAKEN}
            self._expect_of(id_, started, told, begun)

    async def run_and_forget(self) -> None:
        """``docker run --rm``: nobody else knows its id; it is gone soon after its end."""
        name, network = self._dice.choice(NAMES), self._dice.choice((*NETWORKS, "bridge"))
        reply = await self._call(
            "create", "POST", f"/containers/create?name={name}", self._body(network, AutoRemove=True)
        )
        told = f"create {name} on {network}, with --rm: {_short(reply)}"
        if reply.status != 201:
            self._expect(reply, told, {(409, "already in use by container"): (f"name/{name}", TAKEN)})
            return
        id_ = reply.json()["Id"]
        self._journal.named(id_, name, reply, told)
        started = await self._call("start", "POST", f"/containers/{id_}/start")
        if started.status == 204:
            reply = await self._call("kill", "POST", f"/containers/{id_}/kill")
            if reply.status != 204:
                self._journal.complaints.append(f"kill of {id_[:12]}, which --rm waits for: {_short(reply)}")
        else:
            self._expect(
                started, f"start {id_[:12]}: {_short(started)}", {(404, "network .* not found"): None}
            )
        gone = await self._call("wait", "POST", f"/containers/{id_}/wait?condition=removed")
        if gone.status not in (200, 404):
            self._journal.complaints.append(f"wait for the removal of {id_[:12]}: {_short(gone)}")
        over = Reply(204, b"", started.sent, gone.answered)
        self._note(f"name/{name}", over, leave(id_), f"{id_[:12]} was removed by --rm")

    async def look(self) -> None:
        if not (id_ := self._any()):
            return
        reply = await self._call("inspect", "GET", f"/containers/{id_}/json")
        told = f"inspect {id_[:12]}: {_short(reply)}"
        if reply.status == 200:
            shown = reply.json()
            if (state := shown["State"]["Status"]) in (RUNNING, PAUSED):
                self._note(f"process/{id_}", reply, see(state), f"{told} {state}")
            name = shown["Name"].removeprefix("/")
            self._note(f"name/{name}", reply, see(id_), told)
            for network in NETWORKS:
                connected = network in shown["NetworkSettings"]["Networks"]
                effect = see(CONNECTED if connected else FREE)
                self._note(f"endpoint/{id_}/{network}", reply, effect, f"{told} {network}: {connected}")
        else:
            self._expect_of(id_, reply, told, {})

    async def list(self) -> None:
        """All at one moment: who has which name, and nothing is anybody else's, too."""
        reply = await self._call("list", "GET", "/containers/json?all=1")
        if reply.status != 200:
            self._journal.complaints.append(f"list: {_short(reply)}")
            return
        shown = reply.json()
        owners = {name.removeprefix("/"): c["Id"] for c in shown for name in c["Names"]}
        self._once("names", [name for c in shown for name in c["Names"]])
        for name in NAMES:
            self._note(f"name/{name}", reply, see(owners.get(name, FREE)), f"list: {name}")
        ports = [
            (p["IP"], p["PublicPort"], p["Type"]) for c in shown for p in c["Ports"] if p.get("PublicPort")
        ]
        self._once("host ports", ports)
        for network in (*NETWORKS, "bridge"):
            attached = [c["NetworkSettings"]["Networks"].get(network) for c in shown]
            pairs = [(a["NetworkID"], a["IPAddress"]) for a in attached if a and a["IPAddress"]]
            self._once(f"addresses on {network}", pairs)

    # Details.

    def _ended_on_the_way(self, id_: str, reply: Reply, told: str) -> None:
        self._note(f"process/{id_}", reply, _MAYBE_IDLE, told)
        self._journal.ending(id_, reply, told)

    def _any(self) -> str:
        return self._dice.choice(tuple(self._journal.known)) if self._journal.known else ""

    async def _call(self, verb: str, method: str, path: str, body: object = None) -> Reply:
        reply = await self._client.call(method, path, body)
        self._journal.replies[verb, reply.status] += 1
        self._journal.waits[verb].append(reply.answered - reply.sent)
        return reply

    def _note(self, cell: str, reply: Reply, effect: Effect, told: str) -> None:
        self._journal.note(cell, reply, effect, told)

    def _once(self, what: str, things: Sequence[object]) -> None:
        twice = [thing for thing, count in Counter(things).items() if count > 1]
        if twice:
            self._journal.complaints.append(f"{what}: {twice} twice at the same moment")

    def _expect(
        self, reply: Reply, told: str, texts: dict[tuple[int, str], tuple[str, Effect] | None]
    ) -> None:
        """One of these errors, or a 500 that Docker has as well."""
        for (status, text), meaning in texts.items():
            if reply.status == status and re.search(text, reply.message):
                if meaning:
                    self._note(meaning[0], reply, meaning[1], told)
                return
        if reply.status != 500 or not ALLOWED_FAILURES.search(reply.message):
            self._journal.complaints.append(told)

    def _expect_of(self, id_: str, reply: Reply, told: str, texts: dict[tuple[int, str], Effect]) -> None:
        """One of these errors about a container's process, or that there is no such container."""
        told_of = {**texts, (404, "No such container"): see(FREE)}
        self._expect(reply, told, {text: (f"process/{id_}", effect) for text, effect in told_of.items()})


_MAYBE_IDLE = maybe(lambda before: (IDLE,) if before else ())
"""The process was ended on the way, or somebody else has ended it, or it had not run."""
_MAYBE_PAUSED = maybe(lambda before: (PAUSED,) if before == RUNNING else ())
_MAYBE_THAWED = maybe(lambda before: (RUNNING,) if before == PAUSED else ())
"""Who ends a frozen process lets it go first."""
_ACTIVE = seen(lambda before: before in (RUNNING, PAUSED))
_NOT_PAUSED = seen(lambda before: before not in (PAUSED, FREE))


def _short(reply: Reply) -> str:
    return f"{reply.status} {reply.message}".strip()
