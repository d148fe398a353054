"""Runs a check on generated inputs: the same few in ``make test``, others for a given time in ``make fuzz``.

``make fuzz SECONDS=600`` shares its time among the tests. Each goes round by round, each round with a seed of
its own that is told with a failure: ``FUZZ_SEED=… pytest tests/fuzz -k …`` repeats that round alone.
"""

import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import HypothesisWarning
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = os.environ.get("FUZZ_SEED", "")
_shares = 1


def share(tests: int) -> None:
    """The time is for so many tests."""
    global _shares
    _shares = max(tests, 1)


def fuzz(
    check: Callable[[T], object], inputs: SearchStrategy[T], examples: int, *, shrink: bool = True
) -> None:
    """``examples`` a round. ``shrink`` looks for the smallest input that fails: not where state remains."""
    for seed in _seeds():
        try:
            _round(check, inputs, examples, seed, shrink=shrink)
        except BaseException as failure:
            if seed is not None:
                failure.add_note(f"FUZZ_SEED={seed}")
            raise


def _seeds() -> Iterator[int | None]:
    if SEED or not SECONDS:
        yield int(SEED) if SEED else None
        return
    end = time.monotonic() + SECONDS / _shares
    while time.monotonic() < end:
        yield random.SystemRandom().getrandbits(64)


def _round(
    check: Callable[[T], object],
    inputs: SearchStrategy[T],
    examples: int,
    seed: int | None,
    *,
    shrink: bool,
) -> None:
    """Without a seed the inputs are the same in each run."""

    def one(value: T) -> None:
        try:
            check(value)
        except Exception as failure:
            failure.add_note(f"input: {value!r:.2000}")
            raise

    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    run = hypothesis.settings(
        max_examples=examples,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )(hypothesis.given(inputs)(one))
    if seed is not None:
        run = hypothesis.seed(seed)(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # of inputs too long to be shown
        run()
