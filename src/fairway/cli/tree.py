"""The command tree as data: where each command lives and what one line says about it.

Kept apart from the commands so that finding one costs no import of the others: a ``Leaf`` names a module
and an attribute, and ``load`` imports only that module. ``docker run`` and ``docker container run`` are one
leaf.
"""

from __future__ import annotations

from importlib import import_module

from fairway.cli.command import Command


class Leaf:
    """A command: its module and attribute, its line in the group's help, its other spellings."""

    __slots__ = ("aliases", "attribute", "module", "summary")

    def __init__(self, where: str, summary: str, *aliases: str) -> None:
        self.module, _, self.attribute = where.partition(".")
        self.summary, self.aliases = summary, aliases

    def load(self) -> Command:
        """The command itself."""
        command = getattr(import_module(f"fairway.cli.{self.module}"), self.attribute)
        assert isinstance(command, Command)
        return command


class Group:
    """A management command: its sub-commands by name."""

    __slots__ = ("about", "leaves", "summary")

    def __init__(self, summary: str, leaves: dict[str, Leaf], about: str = "") -> None:
        self.summary, self.leaves, self.about = summary, leaves, about or summary

    def find(self, name: str) -> Leaf | None:
        """The leaf called ``name``, by its own name or an alias within the group."""
        if name in self.leaves:
            return self.leaves[name]
        return next((leaf for leaf in self.leaves.values() if name in leaf.aliases), None)


_CONTAINER = {
    "attach": Leaf(
        "container_attach.ATTACH",
        "Attach local standard input, output, and error streams to a running container",
    ),
    "commit": Leaf("image_commit.COMMIT", "Create a new image from a container's changes"),
    "cp": Leaf("container_cp.CP", "Copy files/folders between a container and the local filesystem"),
    "create": Leaf("container_run.CREATE", "Create a new container"),
    "diff": Leaf(
        "container_look.DIFF", "Inspect changes to files or directories on a container's filesystem"
    ),
    "exec": Leaf("container_exec.EXEC", "Execute a command in a running container"),
    "inspect": Leaf("inspect.CONTAINER", "Display detailed information on one or more containers"),
    "kill": Leaf("container_state.KILL", "Kill one or more running containers"),
    "logs": Leaf("container_logs.LOGS", "Fetch the logs of a container"),
    "ls": Leaf("container_ls.LS", "List containers", "list", "ps"),
    "pause": Leaf("container_state.PAUSE", "Pause all processes within one or more containers"),
    "port": Leaf("container_look.PORT", "List port mappings or a specific mapping for the container"),
    "prune": Leaf("prune.CONTAINER", "Remove all stopped containers"),
    "rename": Leaf("container_state.RENAME", "Rename a container"),
    "restart": Leaf("container_state.RESTART", "Restart one or more containers"),
    "rm": Leaf("container_state.RM", "Remove one or more containers", "remove"),
    "run": Leaf("container_run.RUN", "Create and run a new container from an image"),
    "start": Leaf("container_start.START", "Start one or more stopped containers"),
    "stats": Leaf("container_stats.STATS", "Display a live stream of container(s) resource usage statistics"),
    "stop": Leaf("container_state.STOP", "Stop one or more running containers"),
    "top": Leaf("container_look.TOP", "Display the running processes of a container"),
    "unpause": Leaf("container_state.UNPAUSE", "Unpause all processes within one or more containers"),
    "update": Leaf("container_update.UPDATE", "Update configuration of one or more containers"),
    "wait": Leaf(
        "container_state.WAIT", "Block until one or more containers stop, then print their exit codes"
    ),
}
_IMAGE = {
    "history": Leaf("image_ls.HISTORY", "Show the history of an image"),
    "import": Leaf(
        "image_transfer.IMPORT", "Import the contents from a tarball to create a filesystem image"
    ),
    "inspect": Leaf("inspect.IMAGE", "Display detailed information on one or more images"),
    "load": Leaf("image_transfer.LOAD", "Load an image from a tar archive or STDIN"),
    "ls": Leaf("image_ls.LS", "List images", "list"),
    "prune": Leaf("prune.IMAGE", "Remove unused images"),
    "pull": Leaf("image_transfer.PULL", "Download an image from a registry"),
    "rm": Leaf("image_rm.RM", "Remove one or more images", "remove"),
    "save": Leaf(
        "image_transfer.SAVE", "Save one or more images to a tar archive (streamed to STDOUT by default)"
    ),
    "tag": Leaf("image_rm.TAG", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
_NETWORK = {
    "connect": Leaf("network.CONNECT", "Connect a container to a network"),
    "create": Leaf("network.CREATE", "Create a network"),
    "disconnect": Leaf("network.DISCONNECT", "Disconnect a container from a network"),
    "inspect": Leaf("inspect.NETWORK", "Display detailed information on one or more networks"),
    "ls": Leaf("network_ls.LS", "List networks", "list"),
    "prune": Leaf("prune.NETWORK", "Remove all unused networks"),
    "rm": Leaf("network.RM", "Remove one or more networks", "remove"),
}
_SYSTEM = {
    "df": Leaf("system_df.DF", "Show fairway disk usage"),
    "events": Leaf("events.EVENTS", "Get real time events from the server"),
    "info": Leaf("info.INFO", "Display system-wide information"),
    "prune": Leaf("prune.SYSTEM", "Remove unused data"),
}
_VOLUME = {
    "create": Leaf("volume.CREATE", "Create a volume"),
    "inspect": Leaf("inspect.VOLUME", "Display detailed information on one or more volumes"),
    "ls": Leaf("volume.LS", "List volumes", "list"),
    "prune": Leaf("prune.VOLUME", "Remove unused local volumes"),
    "rm": Leaf("volume.RM", "Remove one or more volumes", "remove"),
}
_COMPLETION = {
    "bash": Leaf("completion.BASH", "Generate the autocompletion script for bash"),
    "fish": Leaf("completion.FISH", "Generate the autocompletion script for fish"),
    "zsh": Leaf("completion.ZSH", "Generate the autocompletion script for zsh"),
}

GROUPS = {
    "completion": Group(
        "Generate the autocompletion script for the specified shell",
        _COMPLETION,
        "Generate the autocompletion script for fairway for the specified shell.\n"
        "See each sub-command's help for details on how to use the generated script.",
    ),
    "container": Group("Manage containers", _CONTAINER),
    "image": Group("Manage images", _IMAGE),
    "network": Group("Manage networks", _NETWORK),
    "system": Group("Manage Fairway", _SYSTEM),
    "volume": Group("Manage volumes", _VOLUME),
}
"""Management commands by name."""

COMMON = ("run", "exec", "ps", "pull", "images", "version", "info")
"""The short forms that the root help shows first."""

_PATHS: dict[str, tuple[str, str]] = (
    {name: ("container", name) for name in _CONTAINER if name not in ("inspect", "ls", "prune")}
    | {name: ("image", name) for name in ("history", "import", "load", "pull", "save", "tag")}
    | {"ps": ("container", "ls"), "images": ("image", "ls"), "rmi": ("image", "rm")}
    | {"events": ("system", "events"), "info": ("system", "info")}
)

SHORT: dict[str, Leaf] = {name: GROUPS[group].leaves[leaf] for name, (group, leaf) in _PATHS.items()} | {
    "doctor": Leaf("doctor.DOCTOR", "Show where this host is not as the records say, and mend it"),
    "inspect": Leaf("inspect.ANY", "Return low-level information on Fairway objects"),
    "rules": Leaf("rules.RULES", "Show what is programmed in the firewall, with packet counters"),
    "version": Leaf("version.VERSION", "Show the Fairway version information"),
    "__complete": Leaf("completion.COMPLETE", ""),
}
"""Commands at the root by name; most are leaves of a group as well."""


def spellings(program: str, leaf: Leaf) -> list[str]:
    """All ways to write a command, the longest first; empty when there is only one."""
    found: list[str] = []
    for group_name, group in GROUPS.items():
        for name, other in group.leaves.items():
            if other is leaf:
                found += [f"{program} {group_name} {spelling}" for spelling in (name, *leaf.aliases)]
    found += [f"{program} {name}" for name, other in SHORT.items() if other is leaf]
    return found if len(found) > 1 else []
