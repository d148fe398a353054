"""``port add`` and ``port rm``: publishing on a container that exists, running or not.

The daemon replaces the bindings of a container port as a whole (``PortBindings`` of ``POST
/containers/{id}/update``); which those are, is worked out here from what ``inspect`` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairway.api.client import quote
from fairway.cli import ports
from fairway.cli.command import Arity, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.ports import Bindings
from fairway.model.errors import InvalidParameter

_AUTOMATIC = ("", "0")


def added(container: dict[str, Any], wanted: Bindings) -> Bindings:
    """All bindings of the ports concerned, those wanted included."""
    present = published(container)
    return {port: [*present.get(port, ()), *bindings] for port, bindings in wanted.items()}


def removed(container: dict[str, Any], unwanted: Bindings) -> Bindings:
    """All bindings of the ports concerned, without those meant by ``8080:80/udp``, or ``80/udp`` for all.

    Raises InvalidParameter for a mapping that there is not.
    """
    present, changes = published(container), Bindings()
    running = container["NetworkSettings"].get("Ports") or {}
    for port, bindings in unwanted.items():
        left = list(present.get(port, ()))
        for binding in bindings:
            gone = _named(left, binding, running.get(port) or [])
            if not gone:
                raise InvalidParameter(
                    f"Error: No such mapping of container {container['Name'].lstrip('/')}: "
                    f"{_shown(binding, port)}; see: fairway port {container['Name'].lstrip('/')}"
                )
            for each in gone:
                left.remove(each)
        changes[port] = left
    return changes


def published(container: dict[str, Any]) -> Bindings:
    """The container's bindings, with publish-all spelled out."""
    host = container["HostConfig"]
    bindings = {_key(port): list(each or ()) for port, each in (host.get("PortBindings") or {}).items()}
    if host.get("PublishAllPorts"):
        for port in map(_key, container["Config"].get("ExposedPorts") or {}):
            bindings[port] = bindings.get(port) or [{"HostIp": "", "HostPort": ""}]
    return bindings


def _key(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def _named(
    present: list[dict[str, str]], wanted: dict[str, str], running: list[dict[str, str]]
) -> list[dict[str, str]]:
    """Which bindings a word means: by host port and address, as far as it says them.

    An automatic binding goes by the number that it has got.
    """
    here = [b for b in present if wanted["HostIp"] in ("", b.get("HostIp") or "")]
    if not wanted["HostPort"]:
        return here
    found = [b for b in here if b.get("HostPort") == wanted["HostPort"]]
    if found or not any(b["HostPort"] == wanted["HostPort"] for b in running):
        return found
    chosen = [b for b in here if b.get("HostPort") in _AUTOMATIC or "-" in (b.get("HostPort") or "")]
    if len(chosen) > 1:
        raise InvalidParameter(
            f"Error: host port {wanted['HostPort']} was chosen for one of several automatic mappings: "
            "name the container port alone to remove them all"
        )
    return chosen


def _shown(binding: dict[str, str], port: str) -> str:
    address = binding["HostIp"]
    shown = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    host_port = binding["HostPort"]
    return f"{shown}{host_port}:{port}" if host_port or shown else port


def _add(given: Invocation) -> int:
    return _change(given, added)


def _remove(given: Invocation) -> int:
    return _change(given, removed)


def _change(given: Invocation, changed: Callable[[dict[str, Any], Bindings], Bindings]) -> int:
    name, *specs = given.args
    try:
        bindings = ports.published(specs)[1]  # before the daemon is asked
        container = given.client.get(f"/containers/{quote(name)}/json")
        body = {"PortBindings": changed(container, bindings)}
    except InvalidParameter as fault:
        raise Exit(FAILED, fault.message) from fault
    answer = given.client.post(f"/containers/{quote(name)}/update", body=body)
    for warning in answer.get("Warnings") or ():
        given.warn(f"WARNING: {warning}")
    return OK


_AT_LEAST_ONE = Arity(2, None)
ADD = Command(
    _add,
    "CONTAINER [IP:][HOST_PORT:]PORT[/PROTO] [...]",
    "Publish ports of a container, also while it runs, in the words of 'run -p'",
    _AT_LEAST_ONE,
    complete="containers",
)
REMOVE = Command(
    _remove,
    "CONTAINER [[IP:]HOST_PORT:]PORT[/PROTO] [...]",
    "Publish ports of a container no longer; a container's port alone means all that lead to it",
    _AT_LEAST_ONE,
    complete="containers",
)
