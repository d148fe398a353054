"""The operations that are killed and refused, each with what it stands on.

``prepare`` makes, on top of the baseline, what the operation needs; ``act`` is the operation, one request or
a few; ``between`` says which states it may be caught in besides "not begun" and "done", where it consists of
parts that Docker does not join either: a process that was ended stays ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faults.api import Api, Reply
from faults.rig import Rig, container, network

View = dict[str, Any]
"""What users see, by name: see ``view``."""


@dataclass(frozen=True)
class Operation:
    name: str
    act: Callable[[Rig], Reply]
    prepare: Callable[[Rig], None] = lambda rig: None
    teardown: bool = False
    """It takes away: what the kernel refuses is logged, and the next start clears it up."""
    between: Callable[[View, View, View], bool] = lambda now, before, after: False
    others: bool = False
    """It is made of others that are here, too: a fourth of its refusals will do."""


def view(api: Api) -> View:
    """Containers, networks and volumes as a user lists them; numbers that differ from run to run left out."""
    shown: View = {}
    for each in api.get("/containers/json", all=1):
        full = api.get(f"/containers/{each['Id']}/json")
        ports = full["NetworkSettings"]["Ports"] or {}
        shown[f"container {full['Name']}"] = {
            "status": full["State"]["Status"],
            "networks": sorted(full["NetworkSettings"]["Networks"]),
            "attached": sorted(
                name for name, s in full["NetworkSettings"]["Networks"].items() if s["EndpointID"]
            ),
            "ports": sorted(
                (inside, b["HostIp"], b["HostPort"]) for inside, bs in ports.items() for b in bs or ()
            ),
            "bindings": full["HostConfig"]["PortBindings"],
            "memory": full["HostConfig"]["Memory"],
        }
    for each in api.get("/networks"):
        shown[f"network {each['Name']}"] = (each["Driver"], each["Internal"], each["EnableIPv6"])
    for each in api.get("/volumes")["Volumes"] or ():
        anonymous = len(each["Name"]) == 64
        shown[f"volume {'(anonymous)' if anonymous else each['Name']}"] = True
    return shown


def _stopped(now: View, before: View, after: View) -> bool:
    """As before, but that its process has ended, which nobody can take back."""
    gone = {"status": "exited", "attached": [], "ports": []}
    expected = before | {"container /one": before["container /one"] | gone}
    return now == expected


def _ended(now: View, before: View, after: View) -> bool:
    """As before, but ended; or dead, as Docker leaves what it could not remove wholly."""
    here = now.get("container /one", {})
    return here.get("status") in ("exited", "dead") and not here["attached"] and now.keys() == before.keys()


def _some(now: View, before: View, after: View) -> bool:
    """Several objects go one after the other; one that cannot is left behind, a container dead."""

    def left(key: str) -> bool:
        old = before.get(key)
        return now[key] == old or (isinstance(old, dict) and now[key] == old | {"status": "dead"})

    return after.items() <= now.items() and all(map(left, now))


def _created(now: View, before: View, after: View) -> bool:
    """The container, and nothing but: it is created by one request and started by the next."""
    added = now.keys() - before.keys()
    return added <= {"container /one", "volume (anonymous)"} and (
        "container /one" not in now or now["container /one"]["status"] in ("created", "exited", "dead")
    )


def _run(rig: Rig, name: str = "one", mode: str = "six", **more: Any) -> None:
    rig.run(name, mode, **more)


def _create_full(rig: Rig) -> None:
    rig.create(
        "one",
        "six",
        ports={"80/tcp": "18090", "53/udp": "18091"},
        binds=["data:/data"],
        networks={"six": {"Aliases": ["alias"]}, "inner": {}},
    )


def _post(path: str, body: Any = None, **query: Any) -> Callable[[Rig], Reply]:
    return lambda rig: rig.api.call("POST", path, body, **query)


def _delete(path: str, **query: Any) -> Callable[[Rig], Reply]:
    return lambda rig: rig.api.call("DELETE", path, **query)


def _several(rig: Rig, *actions: tuple[str, str, Any, dict[str, Any]]) -> Reply:
    """Requests one after the other, until one is refused."""
    reply = Reply(500, {})
    for method, path, body, query in actions:
        reply = rig.api.call(method, path, body, **query)
        if not reply.ok:
            return reply
    return reply


def _run_and_remove(rig: Rig) -> Reply:
    """``docker run --rm busybox true``, until the container is gone."""
    body = container("six", ["true"], ports={"80/tcp": "18090"}, AutoRemove=True, binds=["/anonymous"])
    body["Volumes"] = {"/anonymous": {}}
    body["HostConfig"]["Binds"] = []
    made = rig.api.call("POST", "/containers/create", body, name="one")
    if not made.ok:
        return made
    rig.seen.add(made.body["Id"])
    started = rig.api.call("POST", f"/containers/{made.body['Id']}/start")
    if not started.ok:
        rig.api.call("DELETE", "/containers/one", force=1, v=1)
        return started
    waited = rig.api.call("POST", "/containers/one/wait", condition="removed")
    if waited.status == 404:  # gone already
        return started
    failure = waited.body.get("Error") if waited.ok else None
    return Reply(500, {"message": failure["Message"]}) if failure else waited


def _execute(rig: Rig) -> Reply:
    made = rig.api.call(
        "POST", "/containers/one/exec", {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
    )
    if not made.ok:
        return made
    started = rig.api.call("POST", f"/exec/{made.body['Id']}/start", {"Detach": False, "Tty": False})
    code = rig.api.get(f"/exec/{made.body['Id']}/json")["ExitCode"] if started.ok else 0
    # As with Docker the answer has begun when the command is started: an error comes as its output.
    return Reply(500, {"message": started.body[8:].decode().strip()}) if code else started


def _closed_network(rig: Rig) -> None:
    rig.api.post("/networks/create", network("new", ipv6=True, subnets=("10.9.0.0/24", "fd09::/64")))


def _two_networks(rig: Rig) -> None:
    for name in ("new0", "new1"):
        rig.api.post("/networks/create", network(name))


def _two_stopped(rig: Rig) -> None:
    for name in ("one", "two"):
        rig.create(name, "six", binds=[f"{name}:/data"])


def _linked(rig: Rig) -> None:
    rig.run("two", "bridge", ports={"81/tcp": "18092"})
    rig.create("one", "bridge", Links=["two:store"])


def _sharing(rig: Rig) -> None:
    rig.run("one", "six", ports={"80/tcp": "18090"})
    rig.run("two", "container:one")


def _publish(rig: Rig, outside: str | None) -> Reply:
    bindings = [{"HostPort": outside}] if outside else []
    return rig.api.call("POST", "/containers/one/update", {"PortBindings": {"80/tcp": bindings}})


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(
            "create network",
            _post("/networks/create", network("new", ipv6=True, subnets=("10.9.0.0/24", "fd09::/64"))),
        ),
        Operation("create internal network", _post("/networks/create", network("new", internal=True))),
        Operation("remove network", _delete("/networks/new"), _closed_network, teardown=True),
        Operation("create", lambda rig: _created_full(rig)),
        Operation("start", _post("/containers/one/start"), _create_full),
        Operation(
            "start on the default bridge",
            _post("/containers/one/start"),
            lambda rig: void(rig.create("one", "bridge", ports={"80/tcp": "18090"})),
        ),
        Operation(
            "start in another's network",
            _post("/containers/one/start"),
            lambda rig: void(rig.create("one", "container:web")),
        ),
        Operation("start with a link", _post("/containers/one/start"), _linked),
        Operation(
            "start with shared memory",
            _post("/containers/one/start"),
            lambda rig: void(rig.create("one", "none", IpcMode="shareable")),
        ),
        Operation(
            "stop",
            _post("/containers/one/stop", t=0),
            lambda rig: _run(rig, ports={"80/tcp": "18090"}, networks={"six": {}, "inner": {}}),
            teardown=True,
        ),
        Operation(
            "restart",
            _post("/containers/one/restart", t=0),
            lambda rig: _run(rig, ports={"80/tcp": "18090"}),
            teardown=True,
            between=_stopped,
            others=True,
        ),
        Operation("kill", _post("/containers/one/kill"), _run, teardown=True, between=_stopped),
        Operation("pause", _post("/containers/one/pause"), _run),
        Operation("unpause", _post("/containers/one/unpause"), lambda rig: _paused(rig)),
        Operation("rename", _post("/containers/one/rename", name="other"), _run),
        Operation("exec", _execute, _run),
        Operation("remove", _delete("/containers/one", v=1), _create_full, teardown=True, between=_ended),
        Operation(
            "remove by force",
            _delete("/containers/one", force=1, v=1),
            lambda rig: _run(rig, ports={"80/tcp": "18090"}, binds=["data:/data"]),
            teardown=True,
            between=_ended,
        ),
        Operation(
            "remove who lends its network",
            _delete("/containers/one", force=1),
            _sharing,
            teardown=True,
            between=lambda now, before, after: (
                now.get("container /one", {}).get("status") in ("exited", "dead")
            ),
        ),
        Operation("run and remove", _run_and_remove, teardown=True, between=_created, others=True),
        Operation(
            "connect",
            _post("/networks/inner/connect", {"Container": "one"}),
            lambda rig: _run(rig, "one", "six"),
        ),
        Operation(
            "connect to the way in",
            _post("/networks/six/connect", {"Container": "one"}),
            lambda rig: _run(rig, "one", "inner", ports={"80/tcp": "18090"}),
        ),
        Operation(
            "connect to the first with names",
            _post("/networks/six/connect", {"Container": "one"}),
            lambda rig: _run(rig, "one", "bridge"),
        ),
        Operation(
            "disconnect",
            _post("/networks/six/disconnect", {"Container": "one"}),
            lambda rig: _run(rig, ports={"80/tcp": "18090"}, networks={"six": {}, "inner": {}}),
            teardown=True,
        ),
        Operation("publish", lambda rig: _publish(rig, "18090"), _run),
        Operation(
            "unpublish",
            lambda rig: _publish(rig, None),
            lambda rig: _run(rig, ports={"80/tcp": "18090"}),
        ),
        Operation("limit", _post("/containers/one/update", {"Memory": 64 << 20, "MemorySwap": -1}), _run),
        Operation("prune containers", _post("/containers/prune"), _two_stopped, teardown=True, between=_some),
        Operation(
            "prune networks",
            _post("/networks/prune"),
            _two_networks,
            teardown=True,
            between=_some,
        ),
        Operation("create volume", _post("/volumes/create", {"Name": "data"})),
        Operation(
            "remove volume",
            _delete("/volumes/data"),
            lambda rig: void(rig.api.post("/volumes/create", {"Name": "data"})),
            teardown=True,
        ),
    )
}


def _created_full(rig: Rig) -> Reply:
    body = container(
        "six",
        ["sleep", "86400"],
        ports={"80/tcp": "18090"},
        binds=["data:/data"],
        networks={"six": {"Aliases": ["alias"]}, "inner": {}},
    )
    return rig.api.call("POST", "/containers/create", body, name="one")


def _paused(rig: Rig) -> None:
    _run(rig)
    rig.api.post("/containers/one/pause")


def void(_: object) -> None:
    """For a preparation whose result nobody needs."""
