"""Which hand takes which run of steps, in the worker thread."""

import contextlib
import struct
from collections.abc import Sequence

from fairway.kernel import holding, listeners, mounts, sysctls
from fairway.kernel.changes import LinkChanges, TableChanges
from fairway.kernel.configuration import Configuration
from fairway.kernel.conntrack import Conntrack
from fairway.kernel.holding import PortHolder
from fairway.kernel.links import Links
from fairway.kernel.listeners import Listeners
from fairway.kernel.namespaces import Namespaces
from fairway.kernel.reaper import Reaper
from fairway.kernel.rtnetlink import dump_links, read_link
from fairway.kernel.ruleset import NAME, Ruleset
from fairway.kernel.schedule import Outcome
from fairway.kernel.translation import Translation
from fairway.kernel.visits import Visits
from fairway.kernel.watch import Watch, nftables_thread
from fairway.model.errors import Fault, InvalidParameter, System
from fairway.plan import (
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Overlay,
    Resolver,
    Route,
    Step,
    Sysctl,
    Veth,
    describe,
)


class Executor:
    """Owns sockets, namespaces and the nftables context. Made, used and closed in the worker thread."""

    def __init__(
        self, *, alias: str, ruleset: str, home: str | None, holder: Listeners, ports: PortHolder
    ) -> None:
        self.namespaces = Namespaces(home)
        self.visits = Visits(self.namespaces)
        self.reaper = Reaper(self.visits)
        self.ruleset = Ruleset(ruleset)
        self.translation = Translation(ports, wanted=bool(ruleset))
        self.conntrack = Conntrack()
        self.holder = holder
        self.ports = ports
        self.served: dict[str, str] = {}
        """Namespace of each sandbox whose listeners this process opened."""
        self.changes = LinkChanges(alias, self.reaper.going, self.visits.senders)
        thread = nftables_thread()
        tables = TableChanges((NAME,), self.ruleset.keeps, thread) if thread else None
        self.watch = Watch(self.changes, tables, self.namespaces.lost)
        self.look()
        self._links = Links(self.visits, self.reaper, alias)
        self._configuration = Configuration(self.visits)

    def take(self, steps: Sequence[Step]) -> Sequence[Outcome]:
        """Take one run (see ``schedule.runs``); an unforeseen error of the system becomes a fault."""
        try:
            match steps[0].fact:
                case Bridge() | Veth():
                    return self._links.take(steps)
                case Address() | Route():
                    return self._configuration.take(steps)
                case Element():
                    if any(step.present for step in steps):
                        # what these let in is not to be taken for what is being forgotten
                        self.conntrack.settle()
                    return self.ruleset.take(steps)
                case Hairpin():
                    return self._links.hairpins(steps)
                case Flows():
                    return self.conntrack.take(steps)
                case HeldPort():
                    if steps[0].present:
                        self.translation.ensure()
                    return holding.take(self.ports, steps)
                case fact:
                    return [self._single(fact, steps[0].present)]
        except Fault as fault:
            return [fault, *[False] * (len(steps) - 1)]
        except OSError as error:
            verb = "establish" if steps[0].present else "withdraw"
            refused = System(f"cannot {verb} {describe(steps[0].fact)}: {error.strerror or error}")
            return [refused, *[False] * (len(steps) - 1)]
        except (ValueError, struct.error) as error:
            wrong = InvalidParameter(f"invalid {describe(steps[0].fact)}: {error}")
            return [wrong, *[False] * (len(steps) - 1)]

    def look(self) -> None:
        """Know the links that there are, to tell what becomes of them. Raises OSError."""
        self.changes.know(map(read_link, self.visits.host.dump(dump_links())))

    def close(self) -> None:
        """Raises System if links or connections that were withdrawn could not be deleted."""
        with contextlib.ExitStack() as stack:
            closing = (
                self.namespaces,
                self.visits,
                self.translation,
                self.ruleset,
                self.conntrack,
                self.reaper,
            )
            for each in closing:
                stack.callback(each.close)

    def _single(self, fact: Fact, present: bool) -> bool:
        match fact:
            case Namespace(path=path):
                if present:
                    return self.namespaces.create(path)
                self.visits.leave(path)
                return self.namespaces.remove(path)
            case Sysctl():
                return sysctls.write(self.namespaces, fact) if present else False
            case Overlay():
                return mounts.establish(fact) if present else mounts.remove(fact)
            case Resolver():
                return self._listen(fact, present)
            case _:
                raise System(f"the kernel has no hand for {fact}")

    def _listen(self, fact: Resolver, present: bool) -> bool:
        if not present:
            self.served.pop(fact.sandbox, None)
            return listeners.remove(self.holder, fact)
        changed = listeners.establish(self.namespaces, self.holder, fact)
        self.served[fact.sandbox] = fact.namespace
        return changed
