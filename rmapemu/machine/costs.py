# SPDX-License-Identifier: GPL-2.0-only
"""What operations cost, as data: a snapshot of the machine's counters, or the difference of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rmapemu.mm.vmstat import COST_NAMES, LOCK_NAMES

__all__ = ["NR_COSTS", "Cost", "Measure"]

NR_COSTS = len(COST_NAMES)
_NUMBER = {name: i for i, name in enumerate(COST_NAMES)}


class Cost:
    """Counters by name: ``cost.vmas_visited``, ``cost.locks["anon_vma"]``; ``as_dict()`` for all.

    >>> cost = Cost(np.arange(NR_COSTS, dtype=np.uint64))
    >>> cost.accesses, cost.tlb_misses, (cost - cost).tlb_misses
    (0, 1, 0)
    """

    __slots__ = ("values",)

    def __init__(self, values: npt.NDArray[np.uint64]) -> None:
        self.values = values

    def __getattr__(self, name: str) -> int:
        try:
            return int(self.values[_NUMBER[name]])
        except KeyError:
            raise AttributeError(f"no counter {name!r} (known: {', '.join(COST_NAMES)})") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *COST_NAMES]

    @property
    def tlb_hits(self) -> int:
        """Accesses that the TLB served."""
        return self.accesses - self.tlb_misses

    @property
    def locks(self) -> dict[str, int]:
        """Locks taken, by name."""
        return {name: getattr(self, f"lock_{name}") for name in LOCK_NAMES}

    @property
    def trylock_failed(self) -> dict[str, int]:
        """Trylocks that failed, by name of the lock."""
        return {name: getattr(self, f"trylock_failed_{name}") for name in LOCK_NAMES}

    def as_dict(self) -> dict[str, int]:
        """Every counter, in the order of costs_t."""
        return dict(zip(COST_NAMES, self.values.tolist(), strict=True))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.values - other.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cost) and bool((self.values == other.values).all())

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> npt.NDArray[np.uint64]:
        return self.values

    def __setstate__(self, state: npt.NDArray[np.uint64]) -> None:
        self.values = state

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={int(self.values[i])}" for name, i in _NUMBER.items() if self.values[i])
        return f"Cost({shown})"


class Measure:
    """``with machine.measure() as cost:`` cost holds the difference; while the block runs, the difference so far is not in it."""

    __slots__ = ("_before", "_cost", "_machine")

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._cost = Cost(np.zeros(NR_COSTS, dtype=np.uint64))
        self._before = self._cost

    def __enter__(self) -> Cost:
        self._before = self._machine.cost
        return self._cost

    def __exit__(self, *exc: object) -> None:
        self._cost.values[:] = (self._machine.cost - self._before).values
