"""The engine: all verbs over one state, and its own start and stop."""

from collections.abc import Callable

from fairway.engine.attachments import Attachments
from fairway.engine.connecting import Connecting
from fairway.engine.containers import Containers
from fairway.engine.core import Core
from fairway.engine.events import Events
from fairway.engine.execs import Execs
from fairway.engine.images import ImageVerbs
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.naming import Naming
from fairway.engine.networks import Networks
from fairway.engine.restore import Restore
from fairway.engine.snapshots import Snapshots
from fairway.engine.system import System
from fairway.engine.volumes import Volumes
from fairway.engine.waiters import Waiters
from fairway.model.system import SystemFacts


class Engine:
    """Groups of verbs by noun. All of it belongs to one event loop."""

    def __init__(self, core: Core, facts: Callable[[], SystemFacts]) -> None:
        self._core = core
        self.system = System(facts, core.events)
        attachments, waiters = Attachments(core), Waiters()
        self._naming = Naming(core)
        self.events: Events = core.events
        connecting = Connecting(core, attachments, self._naming)
        self.networks = Networks(core, connecting)
        self.volumes = Volumes(core)
        self.images = ImageVerbs(core)
        self.execs = Execs(core)
        self._lifecycle = Lifecycle(core, attachments, self._naming, connecting, waiters)
        self.containers = Containers(core, self._lifecycle, self.volumes, waiters)
        self.snapshots = Snapshots(core, self._lifecycle)
        self._restore = Restore(core, self._lifecycle, attachments, self.containers)

    async def start(self) -> None:
        """From the store to a kernel that agrees with it; afterwards requests can be served."""
        core = self._core
        core.state.load()
        await self._restore.roll_back()
        self._restore.reserve()
        await self._restore.clear_runtime()
        await self._naming.publish_all()
        await self._restore.reconcile()
        await self.networks.ensure_predefined()
        await self._restore.resume()

    async def resolver_lost(self) -> None:
        """A new resolver process knows nothing: tell it all names, then give it the sandboxes' sockets."""
        await self._naming.publish_all()
        await self._restore.listen()

    async def close(self) -> None:
        """Stop looking; containers, their networks and names go on."""
        await self._lifecycle.close()
        await self.execs.close()
        self._core.state.close()
