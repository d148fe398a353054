"""The engine: all verbs over one state, and its own start and stop."""

from collections.abc import Callable

from fairway.engine.attachments import Attachments
from fairway.engine.connecting import Connecting
from fairway.engine.containers import Containers
from fairway.engine.copying import Copying
from fairway.engine.core import Core
from fairway.engine.doctor import Doctor
from fairway.engine.events import Events
from fairway.engine.execs import Execs
from fairway.engine.healing import Healing
from fairway.engine.images import ImageVerbs
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.naming import Naming
from fairway.engine.networks import Networks
from fairway.engine.obstacles import Obstacles
from fairway.engine.ports import Ports
from fairway.engine.predefined import Predefined
from fairway.engine.publishing import Publishing
from fairway.engine.reconciling import Reconciler
from fairway.engine.restore import Restore
from fairway.engine.rules import Rules
from fairway.engine.snapshots import Snapshots
from fairway.engine.stats import Stats
from fairway.engine.system import System
from fairway.engine.volumes import Volumes
from fairway.engine.waiters import Waiters
from fairway.model.system import SystemFacts


class Engine:
    """Groups of verbs by noun. All of it belongs to one event loop."""

    def __init__(self, core: Core, facts: Callable[[], SystemFacts]) -> None:
        self._core = core
        attachments, waiters = Attachments(core), Waiters()
        self._naming = Naming(core)
        self.events: Events = core.events
        self.rules = Rules(core)
        publishing = Publishing(core, attachments, Ports(core))
        connecting = Connecting(core, attachments, self._naming, publishing)
        obstacles = Obstacles(core)
        self.networks = Networks(core, connecting, obstacles)
        self._predefined = Predefined(core, attachments)
        self._obstacles = obstacles
        self.system = System(facts, core.events, self._warnings)
        self.volumes = Volumes(core)
        self.images = ImageVerbs(core)
        self.execs = Execs(core)
        self._lifecycle = Lifecycle(core, attachments, self._naming, connecting, publishing, waiters)
        self.containers = Containers(core, self._lifecycle, self.volumes, waiters)
        self.snapshots = Snapshots(core, self._lifecycle)
        self.copying = Copying(core, self._lifecycle)
        self.stats = Stats(core)
        reconciler = Reconciler(core, self._lifecycle, attachments)
        self._restore = Restore(core, self._lifecycle, attachments, self.containers, reconciler)
        self._healing = Healing(core, reconciler)
        self.doctor = Doctor(core, reconciler, self._restore, self._naming)

    async def start(self) -> None:
        """From the store to a kernel that agrees with it; afterwards requests can be served."""
        core = self._core
        core.state.load()
        await self._restore.roll_back()
        self._restore.reserve()
        await self._predefined.settle()
        await self._restore.clear_runtime()
        await self._naming.publish_all()
        await self._restore.reconcile()
        await self._predefined.check()
        self._healing.start()
        await self._restore.resume()
        await self._obstacles.look()

    async def _warnings(self) -> list[str]:
        """What keeps networks from working as one would expect."""
        return [*self._predefined.notes, *await self._obstacles.look()]

    async def resolver_lost(self) -> None:
        """A new resolver process knows nothing: tell it all names, then give it the sandboxes' sockets."""
        await self._naming.publish_all()
        self._core.doubt.set()

    async def ports_lost(self) -> None:
        """A new port holder holds nothing: have it keep the table that translates, and hold all ports."""
        await self._core.kernel.install()
        self._core.doubt.set()

    async def close(self) -> None:
        """Stop looking; containers, their networks and names go on."""
        await self._lifecycle.close()
        await self.execs.close()
        await self._healing.close()
        self._core.state.close()
