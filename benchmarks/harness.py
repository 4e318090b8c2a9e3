# SPDX-License-Identifier: GPL-2.0-only
"""Interleaved timing: every round runs each contender once, and ratios are taken within a round.

These machines drift: a median of ratios within one run is worth more than two medians.
"""
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

ROUNDS = 7


@dataclass(frozen=True)
class Timing:
    """Seconds of each contender, by round."""

    seconds: dict[str, list[float]]

    def ratios(self, theirs: str, ours: str) -> list[float]:
        """Round by round, how many times longer `theirs` took."""
        return [a / b for a, b in zip(self.seconds[theirs], self.seconds[ours], strict=True)]


def interleave(contenders: Mapping[str, Callable[[], float | None]], rounds: int = ROUNDS) -> Timing:
    """Run each contender once per round, after one round that is not counted.

    A contender may return its own seconds, where only a part of it is to be timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            gc.collect()
            start = time.perf_counter()
            own = run()
            took = time.perf_counter() - start if own is None else own
            if turn:
                seconds[name].append(took)
    return Timing(seconds)


def spread(values: list[float], unit: float = 1.0, digits: int = 2) -> str:
    """median [min .. max]"""
    low, mid, high = (v * unit for v in (min(values), statistics.median(values), max(values)))
    return f"{mid:.{digits}f} [{low:.{digits}f} .. {high:.{digits}f}]"


def report(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print one table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)
