"""Looking at one container: ``port``, ``diff``, ``top``."""

from __future__ import annotations

from fairway.api.client import ApiError, quote
from fairway.cli import port_live
from fairway.cli.command import ONE, SOME, Arity, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.table import align
from fairway.cli.units import natural

_CHANGES = {0: "C", 1: "A", 2: "D"}


def _port(given: Invocation) -> int:
    name = given.args[0]
    try:
        container = given.client.get(f"/containers/{quote(name)}/json")
    except ApiError as error:
        if name not in PORT.verbs:
            raise
        usage = f"Usage:  fairway port {name} {PORT.verbs[name].synopsis}"
        raise Exit(FAILED, f"{describe(error)}\n\n{usage}") from error
    ports = container["NetworkSettings"].get("Ports") or {}
    if len(given.args) == 1:
        lines = [
            f"{port} -> {_address(binding)}" for port, bindings in ports.items() for binding in bindings or ()
        ]
        for line in sorted(lines, key=natural):
            given.line(line)
        return OK
    wanted = given.args[1]
    number, _, protocol = wanted.partition("/")
    if not number.isdigit() or int(number) > 65535:
        problem = "value out of range" if number.isdigit() else "invalid syntax"
        raise Exit(
            FAILED, f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": {problem}'
        )
    key = f"{number}/{protocol or 'tcp'}"
    if not ports.get(key):
        raise Exit(FAILED, f"Error: No public port '{wanted}' published for {given.args[0]}")
    for line in sorted((_address(binding) for binding in ports[key]), key=natural):
        given.line(line)
    return OK


def _address(binding: dict[str, str]) -> str:
    address = binding.get("HostIp", "")
    return f"[{address}]:{binding['HostPort']}" if ":" in address else f"{address}:{binding['HostPort']}"


def _diff(given: Invocation) -> int:
    if not given.args[0]:
        raise Exit(FAILED, "Container name cannot be empty")
    for change in given.client.get(f"/containers/{quote(given.args[0])}/changes") or ():
        given.line(f"{_CHANGES.get(change['Kind'], '')} {change['Path']}")
    return OK


def _top(given: Invocation) -> int:
    query = {"ps_args": " ".join(given.args[1:]) or None}
    found = given.client.get(f"/containers/{quote(given.args[0])}/top", query)
    lines = ["\t".join(row) for row in [found["Titles"], *(found["Processes"] or [])]]
    given.line(align("\n".join(lines), minimum=20, padding=3))
    return OK


PORT = Command(
    _port,
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    Arity(1, 2),
    complete="containers",
    verbs={"add": port_live.ADD, "rm": port_live.REMOVE},
)
DIFF = Command(
    _diff,
    "CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    ONE,
    complete="containers",
)
TOP = Command(
    _top,
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    SOME,
    interspersed=False,
    complete="containers",
)
