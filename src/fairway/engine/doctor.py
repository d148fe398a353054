"""The verb doctor: what differs between the records and this host, and, if asked, mending it."""

from collections.abc import Sequence
from typing import Literal

from fairway.engine.core import Core
from fairway.engine.naming import Naming
from fairway.engine.reconciling import Reconciler
from fairway.engine.restore import Restore
from fairway.model.difference import Difference, Examination


class Doctor:
    """Looks wholly: also at what containers may have changed themselves, as they administer their network."""

    def __init__(self, core: Core, reconciler: Reconciler, restore: Restore, naming: Naming) -> None:
        self._core = core
        self._reconciler = reconciler
        self._restore = restore
        self._naming = naming

    async def examine(self) -> Examination:
        """Raises Fault if the kernel or a companion cannot be asked."""
        found = await self._differences()
        return Examination(found, found)

    async def cure(self) -> Examination:
        """Mend what can be mended."""
        before = await self._differences()
        await self._restore.clear_runtime()
        if await self._unnamed():
            await self._naming.publish_all()
        outcome = await self._reconciler.mend(wholly=True)
        left = await self._differences()
        return Examination(
            tuple(dict.fromkeys((*before, *outcome.differences))),
            left,
            tuple(f.message for f in outcome.faults),
        )

    async def _differences(self) -> tuple[Difference, ...]:
        findings = await self._reconciler.look(wholly=True)
        return (*findings.differences, *await self._leftovers(), *await self._unnamed())

    async def _leftovers(self) -> Sequence[Difference]:
        """What the runtime keeps of containers that do not run."""
        state = self._core.state
        found = []
        for id_ in await self._restore.idle():
            container = state.containers.get(id_)
            which = "does not run" if container else "is gone"
            text = f"the runtime keeps something of {id_[:12]}, which {which}"
            kind: Literal["container", "host"] = "container" if container else "host"
            found.append(Difference(kind=kind, id=id_, name=container.name if container else "", text=text))
        return found

    async def _unnamed(self) -> Sequence[Difference]:
        """Sandboxes whose names the resolver does not know, and those of which it should know none."""
        known, state = await self._core.resolver.sandboxes(), self._core.state
        wanted = {zone.sandbox: state.owner(zone.sandbox) for zone in self._naming.zones()}
        missing = [
            Difference(kind="container", id=c.id, name=c.name, text="the resolver does not know its names")
            for sandbox, c in wanted.items()
            if c is not None and sandbox not in known and not self._core.locks.busy(f"container/{c.id}")
        ]
        return missing + [
            Difference(kind="host", text=f"the resolver has names of sandbox {sandbox[:12]}, which is gone")
            for sandbox in sorted(known - wanted.keys() - state.sandboxes.keys())
        ]
