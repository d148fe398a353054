"""Probers in namespaces, asked all at once."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reachability.cells import Cell

_PROBER = Path(__file__).with_name("prober.py")

Kind = Literal["answered", "refused", "unreachable", "silent"]


@dataclass(frozen=True)
class Outcome:
    """What came of a packet: ``refused`` by somebody, ``unreachable`` said a kernel, or ``silent``."""

    kind: Kind
    by: str = ""
    """Who answered."""
    seen: str = ""
    """The address from which they were asked."""


class Probers:
    """One process per place, for as long as the context of ``probers`` lasts."""

    def __init__(self, processes: Mapping[str, "subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def ask(self, cells: Sequence[Cell], patience: float) -> dict[Cell, Outcome]:
        """What comes of each cell's packet, all under way at once."""
        by_source: dict[str, list[Cell]] = {}
        for cell in cells:
            by_source.setdefault(cell.source, []).append(cell)
        for source, asked in by_source.items():
            probes = [[cell.protocol, cell.address, cell.port] for cell in asked]
            self._tell(source, {"patience": patience, "probes": probes})
        answers = {source: self._hear(source) for source in by_source}
        arrived = self._arrivals()
        found = {}
        for source, asked in by_source.items():
            for cell, (kind, who, seen) in zip(asked, answers[source], strict=True):
                by, at = arrived.get(who, ("", "")) if cell.protocol == "icmp" else (who, seen)
                found[cell] = Outcome(kind, by, at) if kind == "answered" else Outcome(kind)
        return found

    def _arrivals(self) -> dict[str, tuple[str, str]]:
        """Where each ping arrived, and from which address, by token."""
        for name in self._processes:
            self._tell(name, {"arrivals": True})
        return {token: (name, seen) for name in self._processes for token, seen in self._hear(name).items()}

    def _tell(self, name: str, order: Mapping[str, object]) -> None:
        pipe = self._processes[name].stdin
        assert pipe
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()

    def _hear(self, name: str) -> Any:
        pipe = self._processes[name].stdout
        assert pipe
        return json.loads(pipe.readline())


@contextlib.contextmanager
def probers(places: Mapping[str, tuple[Sequence[str], Iterable[int]]]) -> Iterator[Probers]:
    """A prober in each place: words that enter its namespace, and the ports that it listens on."""
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, (enter, ports) in places.items():
            command = [*enter, sys.executable, "-I", "-S", str(_PROBER), name, *map(str, ports)]
            processes[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        for name, process in processes.items():
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"the prober in {name} did not start")
        yield Probers(processes)
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
