"""The process part of an OCI configuration: arguments, environment, user, terminal.

A container's process is built from its configuration. A process run in it later (exec) is built from the
container's: the same environment, capabilities and limits, changed where the request says so.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fairway.model.errors import InvalidParameter
from fairway.model.process import ExecRequest, Launch
from fairway.runtime import capabilities
from fairway.runtime.users import User

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TERM = "TERM=xterm"


def arguments(launch: Launch, init: bool) -> list[str]:
    """Entrypoint and command, under docker-init if asked for."""
    config = launch.container.config
    argv = [*(config.entrypoint or ()), *(config.cmd or ())]
    if not argv:
        raise InvalidParameter("no command specified")
    return ["/sbin/docker-init", "--", *argv] if init else argv


def environment(launch: Launch, user: User) -> list[str]:
    """Docker's defaults, then links', then the container's own (moby, ``CreateDaemonEnvironment``)."""
    config = launch.container.config
    defaults = [PATH, f"HOSTNAME={launch.hostname}", *([TERM] if config.tty else []), *launch.environment]
    return with_home(merged(defaults, config.env), user)


def merged(base: Iterable[str], changes: Iterable[str]) -> list[str]:
    """``NAME=value`` replaces or adds; a bare ``NAME`` removes."""
    result = {entry.partition("=")[0]: entry for entry in base}
    for entry in changes:
        name, given, _ = entry.partition("=")
        if given:
            result[name] = entry
        else:
            result.pop(name, None)
    return list(result.values())


def with_home(env: list[str], user: User) -> list[str]:
    return env if any(entry.startswith("HOME=") for entry in env) else [*env, f"HOME={user.home}"]


def oci_user(user: User) -> dict[str, Any]:
    """The main group is also listed among the additional ones, or dropping it could gain access."""
    groups = list(dict.fromkeys((user.gid, *user.groups)))
    return {"uid": user.uid, "gid": user.gid, "additionalGids": groups}


def for_exec(
    container: dict[str, Any],
    request: ExecRequest,
    user: User,
    own_home: bool,
    available: Sequence[str],
) -> dict[str, Any]:
    """OCI ``process`` of an exec, from that of the container.

    ``own_home``: the user is the container's, whose HOME may come from its configuration.
    """
    base = [e for e in container["env"] if not e.startswith("TERM=") or e != TERM]
    if not own_home:
        base = [e for e in base if not e.startswith("HOME=")]
    defaults = [TERM] if request.tty and not any(e.startswith("TERM=") for e in base) else []
    caps = available if request.privileged else container["capabilities"]["bounding"]
    process = container | {
        "args": list(request.argv),
        "env": with_home(merged([*base, *defaults], request.env), user),
        "cwd": request.working_dir or container["cwd"],
        "terminal": request.tty,
        "user": oci_user(user),
        "capabilities": capabilities.oci(caps, user.uid),
    }
    process.pop("consoleSize", None)
    height, width = request.console_size
    if request.tty and height and width:
        process["consoleSize"] = {"height": height, "width": width}
    return process
