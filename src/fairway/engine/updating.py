"""The verb update: resources, restart policy and published ports of a container, while it runs or not.

    check → commit (with what it was) → kernel: ports → runtime: resources → kernel: old connections → done

Published ports are an extension: ``PortBindings`` in the body of ``POST /containers/{id}/update`` replaces
the bindings of the container ports that it names. All of an update happens or nothing of it.
"""

from collections.abc import Sequence

import msgspec

from fairway.engine import admission
from fairway.engine.bindings import Binding, changed, described, requested
from fairway.engine.core import Core
from fairway.engine.publishing import Publishing
from fairway.engine.teardown import record, withdraw_wholly
from fairway.model.container import Container, HostConfig
from fairway.model.errors import Conflict, Fault, InvalidParameter
from fairway.plan import Plan

_AMOUNTS = (
    "blkio_weight",
    "cpu_shares",
    "nano_cpus",
    "cpu_period",
    "cpu_quota",
    "cpu_realtime_period",
    "cpu_realtime_runtime",
    "cpuset_cpus",
    "cpuset_mems",
    "memory",
    "memory_swap",
    "memory_reservation",
)
"""Members of which zero, or empty text, means "as it is" (moby, ``container.UpdateContainer``)."""
_SHOWN = 20
"""Ports that an event lists."""


class Updating:
    def __init__(self, core: Core, publishing: Publishing) -> None:
        self._core = core
        self._publishing = publishing

    async def update(self, reference: str, changes: HostConfig) -> Sequence[str]:
        """``changes`` holds what is to be different; returns warnings.

        Raises InvalidParameter, Conflict, or System when kernel or runtime refuse; nothing is changed then.
        """
        container = self._core.state.container(reference)
        warnings = admission.check_update(changes)
        async with self._core.locks.hold(f"container/{container.id}"):
            old = self._core.state.container(container.id)
            if old.state.status in ("removing", "dead"):
                raise Conflict(
                    f"Cannot update container {old.id}: "
                    'container is marked for removal and cannot be "update"'
                )
            new = msgspec.structs.replace(old, host=self._merged(old, changes))
            before, after = requested(old), requested(new)
            new = await self._updated(old, new, ports_change=before != after)
        if after and not new.ports and changes.port_bindings and old.sandbox:
            warnings.append("Published ports are discarded: no network of the container leads outside")
        self._core.events.container(new, "update", **_attributes(before, after))
        return warnings

    def _merged(self, container: Container, changes: HostConfig) -> HostConfig:
        try:
            host = self._core.runtime.settle(_with_resources(container.host, changes))
        except Fault as fault:
            raise type(fault)(f"Cannot update container {container.id}: {fault.message}") from fault
        if not changes.port_bindings:
            return host
        mode = host.network_mode
        if mode in ("host", "none") or mode.startswith("container:"):
            raise InvalidParameter(
                f"conflicting options: port publishing and the network mode {mode.partition(':')[0]}: "
                f"container {container.name} has no network of its own that a port could lead to"
            )
        return changed(msgspec.structs.replace(container, host=host), changes.port_bindings)

    async def _updated(self, old: Container, new: Container, *, ports_change: bool) -> Container:
        core, publishing = self._core, self._publishing
        if old.sandbox and ports_change:
            ports = await publishing.choose(new, old.ports)
            new = msgspec.structs.replace(new, ports=ports)
        plan = Plan()
        try:
            await core.state.commit(new, begin=new, before=old)
            new, plan = await publishing.apply(new, lambda container: publishing.follow(old, container))
            await self._limit(old, new)
            await core.state.commit(end=new)
        except BaseException:
            current = core.state.containers[old.id]  # another automatic port may have been chosen
            await withdraw_wholly(core, plan.inverse(), old.name)
            await record(core, old, end=old)
            chosen = new if current is old else current
            publishing.ports.release(old.id, chosen.ports, old.ports)
            raise
        await withdraw_wholly(core, publishing.forgotten(old, new), new.name)
        publishing.ports.release(old.id, old.ports, new.ports)
        return new

    async def _limit(self, old: Container, new: Container) -> None:
        """Have the limits of a running container followed."""
        if not new.state.active or all(getattr(old.host, m) == getattr(new.host, m) for m in _LIMITS):
            return
        try:
            await self._core.runtime.update(new.id, new.host)
        except Fault as fault:
            raise type(fault)(f"Cannot update container {new.id}: {fault.message}") from fault


_LIMITS = (*_AMOUNTS, "pids_limit")


def _with_resources(host: HostConfig, changes: HostConfig) -> HostConfig:
    """Resources and restart policy merged. Raises Conflict with Docker's texts."""
    for given, what, present, name in (
        (changes.nano_cpus, "Nano CPUs", host.cpu_period, "CPU Period"),
        (changes.nano_cpus, "Nano CPUs", host.cpu_quota, "CPU Quota"),
        (changes.cpu_period, "CPU Period", host.nano_cpus, "NanoCPUs"),
        (changes.cpu_quota, "CPU Quota", host.nano_cpus, "NanoCPUs"),
    ):
        if given > 0 and present > 0:
            raise Conflict(f"Conflicting options: {what} cannot be updated as {name} has already been set")
    if changes.memory > host.memory_swap != -1 and not changes.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the "
            "same time"
        )
    policy = changes.restart_policy
    if policy.name not in ("", "no") and host.auto_remove:
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    return msgspec.structs.replace(
        host,
        **{name: given for name in _AMOUNTS if (given := getattr(changes, name))},
        pids_limit=host.pids_limit if changes.pids_limit is None else changes.pids_limit,
        restart_policy=policy if policy.name else host.restart_policy,
    )


def _attributes(before: Sequence[Binding], after: Sequence[Binding]) -> dict[str, str]:
    """What an event says of ports that are published, or no longer, from here on."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    lists = {
        "published": [b for b in new if b not in old],
        "unpublished": [b for b in old if b not in new],
    }
    return {name: _listed(found) for name, found in lists.items() if found}


def _listed(bindings: Sequence[Binding]) -> str:
    more = f" and {len(bindings) - _SHOWN} more" if len(bindings) > _SHOWN else ""
    return described(bindings[:_SHOWN]) + more
