"""Which containers need others: whose network they share, and who must run before they start."""

from collections.abc import Iterator

from fairway.engine.state import State
from fairway.model.container import Container
from fairway.model.errors import Fault, InvalidParameter


def network_owner(state: State, container: Container) -> Container:
    """Whose network a container has, or would have if it started now, however many stand between: itself,
    unless it shares one. Raises NotFound, InvalidParameter.
    """
    seen: set[str] = set()
    while container.host.network_mode.startswith("container:") and not container.sandbox:
        if owner := state.owner(container.joined):
            return owner
        if container.id in seen:
            raise InvalidParameter(f"container {container.name} shares its own network")
        seen.add(container.id)
        container = state.container(container.host.network_mode.removeprefix("container:"))
    return container


def needed(state: State, container: Container) -> Iterator[Container]:
    """Those that must run before this one."""
    for link in container.links:
        if target := state.containers.get(link.target):
            yield target
    for mode in (container.host.network_mode, container.host.pid_mode, container.host.ipc_mode):
        if mode.startswith("container:"):
            try:
                yield state.container(mode.removeprefix("container:"))
            except Fault:  # gone, or not to be told from another: the start will say so
                continue


def in_need_of(state: State, container: Container) -> dict[str, Container]:
    """Those that must run before this one, and whom they need in turn, by id; itself, if in a circle."""
    found: dict[str, Container] = {}
    waiting = list(needed(state, container))
    while waiting:
        other = waiting.pop()
        if other.id not in found:
            found[other.id] = other
            waiting += needed(state, other)
    return found


def by_dependence(state: State) -> list[Container]:
    """All containers, in an order in which they can be started."""
    waiting = dict(state.containers)
    ordered: list[Container] = []

    def take(container: Container) -> None:
        for other in needed(state, container):
            if waiting.pop(other.id, None):
                take(other)
        ordered.append(container)

    while waiting:
        take(waiting.pop(next(iter(waiting))))
    return ordered
