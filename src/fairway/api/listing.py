"""Which containers ``GET /containers/json`` shows (Docker's ``docker ps`` filters), newest first.

Filters may name images, containers and networks by any reference; those are resolved once per request, into
tests that each container must pass. Stopped containers are shown with ``all``, a limit, or a filter on the
status, as in Docker.
"""

from collections.abc import Callable, Iterator, Sequence

from fairway.api.backend import Backend
from fairway.api.filters import Filters
from fairway.model.container import Container
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.number import decimal

ACCEPTED = frozenset(
    "ancestor before expose exited health id is-task label name network publish since status volume".split()
)
_STATUS = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("starting", "healthy", "unhealthy", "none")

Test = Callable[[Container], bool]


def select(engine: Backend, wanted: Filters, *, everything: bool, limit: int) -> Sequence[Container]:
    """The containers to show; ``limit`` 0 for all. Raises InvalidParameter, NotFound."""
    tests = [*_plain(wanted), *_resolved(engine, wanted)]
    stopped = everything or limit > 0 or "status" in wanted
    shown: list[Container] = []
    for container in engine.containers.all():
        if (stopped or container.state.running) and all(test(container) for test in tests):
            shown.append(container)
            if len(shown) == limit:
                break
    return shown


def _plain(wanted: Filters) -> Iterator[Test]:
    """Tests on the container alone."""
    wanted.one_of("status", _STATUS)
    if "id" in wanted:
        yield lambda c: wanted.match("id", c.id)
    if "name" in wanted:
        yield lambda c: wanted.match("name", c.name, f"/{c.name}")
    if "label" in wanted:
        yield lambda c: wanted.labels(c.config.labels)
    if "status" in wanted:
        yield lambda c: wanted.exact("status", (c.state.status,))
    if wanted.boolean("is-task"):
        yield lambda c: False  # tasks belong to a swarm
    if "exited" in wanted:
        codes = {_code(value) for value in wanted.get("exited")}
        yield lambda c: not c.state.running and bool(c.state.started) and c.state.exit_code in codes
    if "volume" in wanted:
        yield lambda c: any(wanted.exact("volume", (m.name, m.destination)) for m in c.mounts)
    if "expose" in wanted:
        exposed = _ports(wanted.get("expose"))
        yield lambda c: not exposed.isdisjoint(c.config.exposed_ports)
    if "publish" in wanted:
        published = _ports(wanted.get("publish"))
        yield lambda c: not published.isdisjoint(c.host.port_bindings)


def _resolved(engine: Backend, wanted: Filters) -> Iterator[Test]:
    """Tests that ask the engine for other objects."""
    wanted.one_of("health", _HEALTH)
    if "health" in wanted:
        yield lambda c: wanted.exact("health", (_health(engine, c),))
    if "ancestor" in wanted:
        images = frozenset(_images(engine, wanted.get("ancestor")))
        yield lambda c: c.image in images
    if "before" in wanted:
        first = min(engine.containers.find(each).created for each in wanted.get("before"))
        yield lambda c: c.created < first
    if "since" in wanted:
        last = max(engine.containers.find(each).created for each in wanted.get("since"))
        yield lambda c: c.created > last
    if "network" in wanted:
        yield lambda c: any(
            wanted.exact("network", (net.name, net.id)) or _prefixed(wanted.get("network"), net.id)
            for net, _ in engine.containers.endpoints(c.id)
        )


def _prefixed(references: Sequence[str], identifier: str) -> bool:
    return any(len(each) >= 12 and identifier.startswith(each) for each in references)


def _health(engine: Backend, container: Container) -> str:
    health = engine.containers.health(container.id)
    return health.status if health else "none"


def _images(engine: Backend, references: Sequence[str]) -> Iterator[str]:
    """Ids of images; a reference to none simply matches nothing, as in Docker."""
    for reference in references:
        try:
            yield engine.images.find(reference).id
        except NotFound:
            continue


def _code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(f"invalid filter 'exited={text}'") from None


def _ports(values: Sequence[str]) -> frozenset[str]:
    """``80``, ``80/udp``, ``8000-8010/tcp`` as the API's port keys."""
    ports: set[str] = set()
    for value in values:
        numbers, _, protocol = value.partition("/")
        low, _, high = numbers.partition("-")
        first, last = decimal(low, 65535), decimal(high or low, 65535)
        if first is None or last is None:
            raise InvalidParameter(f"invalid filter '{value}': not a port or a range of ports")
        ports |= {f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)}
    return frozenset(ports)
