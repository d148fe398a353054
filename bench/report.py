"""From samples to a table: medians, their spread, and how many times faster the first engine is."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One quantity with the samples of each engine, in the order in which they were taken."""

    quantity: str
    unit: str
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, engine: str, sample: float) -> None:
        self.samples.setdefault(engine, []).append(sample)

    def median(self, engine: str) -> float:
        return statistics.median(self.samples[engine])

    def quartiles(self, engine: str) -> tuple[float, float]:
        samples = self.samples[engine]
        if len(samples) < 2:
            return samples[0], samples[0]
        lower, _, upper = statistics.quantiles(samples, n=4, method="inclusive")
        return lower, upper

    def ratio(self, engines: Sequence[str]) -> float | None:
        """How many times faster the first of two engines is; None when there are not two."""
        if len(engines) != 2 or set(engines) - set(self.samples):
            return None
        ours, theirs = (self.median(engine) for engine in engines)
        return ours / theirs if self.unit.endswith("/s") else theirs / ours


@dataclass
class Report:
    """``engines`` are name → version, ours first; ``notes`` say what could not be measured, and why."""

    engines: dict[str, str]
    rows: list[Row]
    notes: list[str]
    began: str

    def table(self) -> str:
        """Markdown."""
        names = list(self.engines)
        heads = ["", *(f"{name}, median (quartiles)" for name in names)]
        heads += ["ratio"] if len(names) == 2 else []
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
        for row in self.rows:
            cells = [f"{row.quantity}, {row.unit}", *(_cell(row, name) for name in names)]
            ratio = row.ratio(names)
            last = f"**{ratio:.1f}×**" if ratio is not None else ""
            lines.append(cells + ([last] if len(names) == 2 else []))
        return "\n".join(_aligned(lines))

    def markdown(self) -> str:
        about = [f"- {name}: {version}" for name, version in self.engines.items()]
        about += [f"- {key}: {value}" for key, value in machine().items()]
        parts = [f"# Benchmark of {self.began}", "\n".join(about), self.table()]
        parts += ["\n".join(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n\n".join(parts) + "\n"

    def data(self) -> dict[str, Any]:
        """For programs: everything, samples included."""
        names = list(self.engines)
        rows = [
            {
                "quantity": row.quantity,
                "unit": row.unit,
                "median": {name: row.median(name) for name in row.samples},
                "ratio": row.ratio(names),
                "samples": row.samples,
            }
            for row in self.rows
        ]
        return {
            "began": self.began,
            "engines": self.engines,
            "machine": machine(),
            "rows": rows,
            "notes": self.notes,
        }

    def write(self, directory: Path) -> Path:
        """``<time>.md`` and ``<time>.json``; the path of the first."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.began.replace(':', '').replace(' ', '-')}.md"
        path.write_text(self.markdown())
        path.with_suffix(".json").write_text(json.dumps(self.data(), indent=1))
        return path


def machine() -> Mapping[str, str]:
    return {
        "kernel": platform.release(),
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
    }


def _cell(row: Row, engine: str) -> str:
    if engine not in row.samples:
        return ""
    lower, upper = row.quartiles(engine)
    return f"{_number(row.median(engine))} ({_number(lower)}–{_number(upper)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width each: readable where Markdown is not rendered."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    result = []
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        result.append(f"| {' | '.join(cells)} |")
    return result
