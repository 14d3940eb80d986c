"""Fuzz for a while: ``python -m tests.fuzz --seconds 60 [--grow] [target …]``.

What fails is made small by hypothesis, kept in the corpus, and shown; the exit code is then 1. ``--grow``
also keeps inputs that reach something new (several times slower).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import MAX_BYTES, Reached, keep, kept
from tests.fuzz.strategies import INPUTS, spoiled
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

ROUND = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


class Run:
    """The rounds of one target. check: what every input goes through."""

    def __init__(self, name: str, check: Callable[[bytes], None]) -> None:
        self.name = name
        self.count = 0
        self.last = b""
        self._check = check

    def round(self, number: int) -> None:
        """Try some inputs: nearly right ones, kept ones with a change, any bytes. Raises what fails."""
        inputs = INPUTS[self.name] | st.binary(max_size=200)
        if found := kept(self.name):
            inputs |= spoiled(st.sampled_from(found))
        seed(number)(ROUND(given(inputs)(self._one)))()

    def _one(self, data: bytes) -> None:
        self.count += 1
        self.last = data
        self._check(data)


def growing(name: str, reached: Reached) -> Callable[[bytes], None]:
    """Return a check that keeps whatever gets further."""
    for data in kept(name):
        reached.is_further(TARGETS[name], data)

    def check(data: bytes) -> None:
        if reached.is_further(TARGETS[name], data) and len(data) <= MAX_BYTES:
            keep(name, data)

    return check


def main() -> int:
    """Fuzz all targets in turn until the time is over."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--grow", action="store_true")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    numbers = random.Random(arguments.seed)  # noqa: S311 - no secret depends on it
    checks = partial(growing, reached=Reached()) if arguments.grow else TARGETS.__getitem__
    runs = [Run(name, checks(name)) for name in names]
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        for run in runs:
            try:
                run.round(numbers.getrandbits(32))
            except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
                traceback.print_exc()
                print(f"fuzz: {run.name} failed on {run.last!r}\nkept as {keep(run.name, run.last)}")
                return 1
    print("fuzz: " + ", ".join(f"{run.count} {run.name}" for run in runs) + "; nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
