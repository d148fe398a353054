"""Fairway and dockerd side by side, in one run: ``make bench``.

Each measure alternates between the engines round by round, and the order changes every round. Prints a table
of medians and ratios and writes it, with all samples, below ``bench/results``.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from engines import Docker, Engine, Fairway
from measures import MEASURES, Measure
from packages import Unavailable, dockerd_path
from publishing import PUBLISHING
from report import Report, Row
from restart import RESTART

ALL = (*MEASURES, *PUBLISHING, *RESTART)
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    arguments = _arguments()
    if os.geteuid() != 0:
        print("The benchmark makes namespaces and runs containers: that needs root. Try: sudo make bench")
        return 1
    # As an exception, so that whoever ends the run leaves no daemon behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    wanted = arguments.engines.split(",")
    began = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    notes: list[str] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fairway-bench-")))
        engines = stack.enter_context(_engines(folder, wanted, arguments.runtime, notes))
        for engine in engines if arguments.quick else ():
            engine.load_seconds = QUICK_SECONDS
        rows = [
            row
            for measure in ALL
            if not arguments.measures or measure.title in arguments.measures.split(",")
            for row in _take(measure, engines, QUICK_ROUNDS if arguments.quick else measure.rounds)
        ]
        versions = {engine.name: engine.version for engine in engines}
    report = Report(versions, rows, notes, began)
    path = report.write(arguments.output)
    print(f"\n{report.markdown()}\nwritten to {path} and {path.with_suffix('.json').name}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds each: does it work?")
    parser.add_argument("--engines", default="fairway,dockerd", help="which engines, comma-separated")
    titles = ", ".join(measure.title for measure in ALL)
    parser.add_argument("--measures", default="", help=f"only these, comma-separated: {titles}")
    parser.add_argument("--runtime", default="", help="crun or runc for fairway; dockerd has runc")
    parser.add_argument("--output", type=Path, default=RESULTS, help="directory for the results")
    return parser.parse_args()


@contextlib.contextmanager
def _engines(folder: Path, wanted: Sequence[str], runtime: str, notes: list[str]) -> Iterator[list[Engine]]:
    """Those that can be had, started, ours first; all gone afterwards."""
    with contextlib.ExitStack() as stack:
        engines: list[Engine] = []

        def begin(engine: Engine) -> None:
            stack.callback(engine.close)
            _progress(f"starting {engine.name}")
            engine.start()
            engines.append(engine)

        if "fairway" in wanted:
            begin(Fairway(folder / "fairway", runtime))
        if "dockerd" in wanted:
            try:
                _progress("looking for dockerd")
                begin(Docker(folder / "dockerd", dockerd_path()))
            except Unavailable as reason:
                notes.append(f"dockerd was not measured: {reason}")
                print(f"\n{notes[-1]}", file=sys.stderr)
        yield engines
        _progress("stopping")


def _take(measure: Measure, engines: Sequence[Engine], rounds: int) -> list[Row]:
    """All rounds of one measure on all engines."""
    engines = [engine for engine in engines if not measure.only or engine.name in measure.only]
    rows = {q: Row(q, measure.units.get(q, measure.unit)) for q in measure.quantities}
    with contextlib.ExitStack() as stack:
        prepared = {}
        for engine in engines:
            _progress(f"{measure.title}: preparing {engine.name}")
            prepared[engine.name] = measure.prepare(engine)
            stack.callback(measure.clean, engine, prepared[engine.name])
        for number in range(-measure.warm_up, min(rounds, measure.rounds)):
            for engine in engines if number % 2 else reversed(engines):
                _progress(f"{measure.title}: {engine.name}, round {max(0, number + 1)} of {rounds}")
                samples = measure.round(engine, prepared[engine.name], number)
                for quantity, sample in samples.items() if number >= 0 else ():
                    rows[quantity].add(engine.name, sample)
    return list(rows.values())


def _progress(text: str) -> None:
    """One line that changes on a terminal; a line each where there is none."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:<{width}}", end="", file=sys.stderr, flush=True)
    elif "round" not in text:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
