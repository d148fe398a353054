"""``prune`` of containers, networks, images, volumes, and of all of them (``system prune``).

Asks first, with Docker's texts, unless ``-f``; only an answer that starts with ``y`` goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL
from fairway.cli.units import human_size

_SURE = "Are you sure you want to continue?"
_UNTIL = 'Provide filter values (e.g. "until=<timestamp>")'
_FORCE = Flag("force", BOOL, "Do not prompt for confirmation", short="f")


def _confirm(given: Invocation, warning: str) -> None:
    """Ask unless ``-f``; ``Exit`` (with success, as Docker has it) when the answer is no."""
    if given.options.flag("force"):
        return
    sys.stdout.write(f"{warning}{_SURE} [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Exit(OK)


def _deleted(title: str, names: list[str]) -> str:
    return f"{title}:\n" + "".join(f"{name}\n" for name in names) + "\n" if names else ""


def _containers(given: Invocation) -> tuple[str, int]:
    found = given.client.post("/containers/prune", {"filters": filters(given)})
    return _deleted("Deleted Containers", found.get("ContainersDeleted") or []), found.get(
        "SpaceReclaimed", 0
    )


def _networks(given: Invocation) -> tuple[str, int]:
    found = given.client.post("/networks/prune", {"filters": filters(given)})
    return _deleted("Deleted Networks", found.get("NetworksDeleted") or []), 0


def _volumes(given: Invocation, every: bool) -> tuple[str, int]:
    always = {"all": "true"} if every else {}
    found = given.client.post("/volumes/prune", {"filters": filters(given, **always)})
    return _deleted("Deleted Volumes", found.get("VolumesDeleted") or []), found.get("SpaceReclaimed", 0)


def _images(given: Invocation) -> tuple[str, int]:
    dangling = "false" if given.options.flag("all") else "true"
    found = given.client.post("/images/prune", {"filters": filters(given, dangling=dangling)})
    names = [
        f"untagged: {change['Untagged']}" if change.get("Untagged") else f"deleted: {change['Deleted']}"
        for change in found.get("ImagesDeleted") or ()
    ]
    return _deleted("Deleted Images", names), found.get("SpaceReclaimed", 0)


def _reclaimed(size: int) -> str:
    return f"Total reclaimed space: {human_size(size)}\n"


def _prune_containers(given: Invocation) -> int:
    _confirm(given, "WARNING! This will remove all stopped containers.\n")
    text, size = _containers(given)
    sys.stdout.write(text + _reclaimed(size))
    return OK


def _prune_networks(given: Invocation) -> int:
    _confirm(given, "WARNING! This will remove all custom networks not used by at least one container.\n")
    sys.stdout.write(_networks(given)[0])
    return OK


def _prune_images(given: Invocation) -> int:
    what = "dangling images"
    if given.options.flag("all"):
        what = "images without at least one container associated to them"
    _confirm(given, f"WARNING! This will remove all {what}.\n")
    text, size = _images(given)
    sys.stdout.write(text + _reclaimed(size))
    return OK


def _prune_volumes(given: Invocation) -> int:
    every = given.options.flag("all")
    kind = "all" if every else "anonymous"
    _confirm(given, f"WARNING! This will remove {kind} local volumes not used by at least one container.\n")
    text, size = _volumes(given, every)
    sys.stdout.write(text + _reclaimed(size))
    return OK


def _prune_system(given: Invocation) -> int:
    options = given.options
    if options.flag("volumes") and any(name == "until" for name, _ in options.values("filter")):
        raise Exit(FAILED, 'ERROR: The "until" filter is not supported with "--volumes"')
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if options.flag("volumes"):
        lines.append("all anonymous volumes not used by at least one container")
    lines.append(
        "all images without at least one container associated to them"
        if options.flag("all")
        else "all dangling images"
    )
    warning = "WARNING! This will remove:\n" + "".join(f"  - {line}\n" for line in lines) + "\n"
    if texts := [f"{name}={value}" for name, value in options.values("filter")]:
        warning += (
            "  Items to be pruned will be filtered with:\n"
            + "".join(f"  - {text}\n" for text in texts)
            + "\n"
        )
    _confirm(given, warning)
    steps: list[Callable[[Invocation], tuple[str, int]]] = [_containers, _networks]
    if options.flag("volumes"):
        steps.append(lambda given: _volumes(given, False))
    total = 0
    for step in [*steps, _images]:
        text, size = step(given)
        sys.stdout.write(text)
        total += size
    sys.stdout.write(_reclaimed(total))
    return OK


def _command(run: Any, about: str, help_text: str, *more: Flag) -> Command:
    return Command(run, "[OPTIONS]", about, NONE, (filter_flag(help_text, short=""), _FORCE, *more))


CONTAINER = _command(_prune_containers, "Remove all stopped containers", _UNTIL)
NETWORK = _command(_prune_networks, "Remove all unused networks", _UNTIL)
IMAGE = _command(
    _prune_images,
    "Remove unused images",
    _UNTIL,
    Flag("all", BOOL, "Remove all unused images, not just dangling ones", short="a"),
)
VOLUME = _command(
    _prune_volumes,
    "Remove unused local volumes",
    'Provide filter values (e.g. "label=<label>")',
    Flag("all", BOOL, "Remove all unused volumes, not just anonymous ones", short="a"),
)
SYSTEM = _command(
    _prune_system,
    "Remove unused data",
    'Provide filter values (e.g. "label=<key>=<value>")',
    Flag("all", BOOL, "Remove all unused images not just dangling ones", short="a"),
    Flag("volumes", BOOL, "Prune anonymous volumes"),
)
