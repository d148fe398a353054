"""What came of packets, held against what is promised and against the computed journey."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from fairway.kernel.trace import OUTSIDE as ELSEWHERE
from fairway.kernel.trace import Journey, Packet, Protocol, Scene, walk
from fairway.model.address import family
from fairway.plan import HOST as HOST_NAMESPACE
from reachability.cells import Cell
from reachability.probing import Outcome, Probers
from reachability.specification import Answer, expected, listens
from reachability.world import ADDRESSES, HOST, NEIGHBOUR, OUTSIDE, World

PATIENCE, MORE_PATIENCE = 1.5, 5.0
"""Seconds without any event after which no answer is expected; the second for those that should come."""


def ask(probers: Probers, world: World, cells: Sequence[Cell]) -> dict[Cell, Outcome]:
    """What comes of each. A busy machine may be slow: what should have been answered is asked once more."""
    outcomes = probers.ask(cells, PATIENCE)
    missing = [
        cell for cell in cells if outcomes[cell].kind != "answered" and promise(world, cell) is not None
    ]
    return outcomes | (probers.ask(missing, MORE_PATIENCE) if missing else {})


def promise(world: World, cell: Cell) -> Answer | None:
    return expected(world, cell.source, cell.address, cell.protocol, cell.port)


def broken(world: World, outcomes: Mapping[Cell, Outcome]) -> Iterator[str]:
    """Cells where a packet did otherwise than promised."""
    for cell, outcome in outcomes.items():
        if not kept(promise(world, cell), outcome):
            yield f"{cell}: {outcome}, promised was {promise(world, cell)}"


def kept(promised: Answer | None, outcome: Outcome) -> bool:
    if promised is None or outcome.kind != "answered":
        return promised is None and outcome.kind != "answered"
    return outcome.by == promised.by and outcome.seen in promised.seen


def unforeseen(
    scene: Scene, sandbox: Callable[[str], str], outcomes: Mapping[Cell, Outcome]
) -> Iterator[str]:
    """Cells where a packet did otherwise than computed."""
    for cell, outcome in outcomes.items():
        journey = computed(scene, sandbox, cell)
        if not foreseen(journey, cell.protocol, outcome):
            yield f"{cell}: {outcome}, computed was\n{journey}"


def computed(scene: Scene, sandbox: Callable[[str], str], cell: Cell) -> Journey:
    return walk(scene, packet_of(cell, sandbox))


def packet_of(cell: Cell, sandbox: Callable[[str], str]) -> Packet:
    if cell.source in (OUTSIDE, NEIGHBOUR):
        source, address = ELSEWHERE, ADDRESSES[cell.source][family(cell.address)]
        return Packet(source, cell.address, cell.protocol, cell.port, address)
    source = HOST_NAMESPACE if cell.source == HOST else sandbox(cell.source)
    return Packet(source, cell.address, cell.protocol, cell.port)


def place_of(journey: Journey) -> str:
    """Where it ended, as this package calls places."""
    names = {HOST_NAMESPACE: HOST, ELSEWHERE: OUTSIDE}
    return names.get(journey.namespace, journey.namespace.rpartition("/")[2])


def foreseen(journey: Journey, protocol: Protocol, outcome: Outcome) -> bool:
    """A dropped packet is not heard of again; who is there and does not listen refuses, but Linux does not
    tell every sender of a datagram so (sysctl net.ipv4.icmp_ratelimit)."""
    place = place_of(journey)
    match journey.verdict:
        case "dropped":
            return outcome.kind == "silent"
        case "unreachable":
            return outcome.kind in ("unreachable", "silent")
        case _ if not listens(place, journey.port):
            return outcome.kind == "refused" or (protocol, outcome.kind) == ("udp", "silent")
        case _:
            return (outcome.kind, outcome.by, outcome.seen) == ("answered", place, journey.source)
