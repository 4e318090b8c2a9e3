# SPDX-License-Identifier: GPL-2.0-only
"""What a replay gives: counters, numbers derived from them, a time series; as a table, JSON and Parquet.

Models nothing of the kernel; the counters have the kernel's names. How long it took is kept apart (`timing`): it takes
no part in equality, digest or JSON, so that two replays of one trace give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmapemu.sim.table import plain, rows_of

Series = Mapping[str, npt.NDArray[np.uint64]]


@dataclass(frozen=True)
class Timing:
    """Wall time, in seconds. survey: the first pass; read: reading in the second pass; replay: inside the replay loop."""

    survey_seconds: float = 0.0
    read_seconds: float = 0.0
    replay_seconds: float = 0.0


@dataclass(frozen=True)
class Setup:
    """What was replayed, on what: enough to do it again."""

    trace: str
    arch: str
    reclaim: str
    seed: int
    frames: int
    """Frames for the trace's own pages."""
    exact_frames: bool
    """True with frames=: exactly so many, tables and reserves apart, no watermarks."""
    memory_bytes: int
    """All of the machine's memory; with frames=, that of the trace's own pages."""
    swap_bytes: int
    page_bytes: int
    processes: int
    mappings: int
    """Mappings inferred from the touched pages (private anonymous memory): the trace has none."""
    touched_pages: int
    only_read_pages: int = 0
    """Touched pages that are never written: without frames= they map the zero page and take no memory."""
    skipped_lines: int = 0
    """Lines of the trace that are no accesses."""
    sysctl: Mapping[str, int] = field(default_factory=dict)
    """Knobs that were set."""


@dataclass(frozen=True, eq=False)
class Result:
    """A finished replay.

    faults: touches of pages that were not resident (first touches and pages that had been evicted). write_upgrades:
    stores that faulted although the page was there (copy on write of the zero page, reuse of a page swapped in for
    reading); vmstat["pgfault"] counts both. vmstat, cost: the machine's counters at the end, under the kernel's names.
    peak_rss_pages: VmHWM, summed over the processes. series: per million accesses, see `rmapemu.sim.loop`.
    """

    setup: Setup
    accesses: int
    faults: int
    write_upgrades: int
    peak_rss_pages: int
    vmstat: dict[str, int]
    cost: dict[str, Any]
    series: Series
    timing: Timing = field(default_factory=Timing)

    @property
    def arch(self) -> str:
        return self.setup.arch

    @property
    def reclaim(self) -> str:
        return self.setup.reclaim

    @property
    def replay_seconds(self) -> float:
        """Wall time inside the replay loop, reading apart."""
        return self.timing.replay_seconds

    @property
    def accesses_per_second(self) -> float:
        """Of the replay loop."""
        return _per(self.accesses, self.timing.replay_seconds)

    @property
    def read_accesses_per_second(self) -> float:
        """Of the reader."""
        return _per(self.accesses, self.timing.read_seconds)

    @property
    def derived(self) -> dict[str, float | int]:
        """Numbers made of the counters: ratios are 0.0 where their denominator is 0."""
        scanned = self.vmstat["pgscan_kswapd_normal"] + self.vmstat["pgscan_direct_normal"]
        reclaimed = self.vmstat["pgsteal_normal"]
        walks = self.cost["rmap_walks"]
        return {
            "miss_ratio": _per(self.faults, self.accesses),
            "evictions": reclaimed,
            "pages_scanned": scanned,
            "pages_scanned_per_page_reclaimed": _per(scanned, reclaimed),
            "rmap_walks": walks,
            "vmas_visited_per_walk": _per(self.cost["vmas_visited"], walks),
            "ptes_examined_per_walk": _per(self.cost["ptes_examined"], walks),
            "tlb_flushes": sum(self.cost[f"tlb_flush_{kind}"] for kind in ("page", "range", "mm")),
            "storage_key_operations": sum(self.cost[name] for name in ("iske", "sske", "rrbe")),
            "swap_in_pages": self.vmstat["pswpin"],
            "swap_out_pages": self.vmstat["pswpout"],
            "peak_rss_bytes": self.peak_rss_pages * self.setup.page_bytes,
        }

    def as_dict(self, *, series: bool = True) -> dict[str, Any]:
        """All of it as plain data, without the timing; `series` as lists."""
        data: dict[str, Any] = {
            "setup": vars(self.setup) | {},
            "accesses": self.accesses,
            "faults": self.faults,
            "write_upgrades": self.write_upgrades,
            "peak_rss_pages": self.peak_rss_pages,
            "derived": self.derived,
            "vmstat": self.vmstat,
            "cost": self.cost,
        }
        if series:
            data["series"] = {name: values.tolist() for name, values in self.series.items()}
        return data

    def to_json(self, *, series: bool = True) -> str:
        """The same bytes for the same replay; no times in it."""
        return json.dumps(self.as_dict(series=series), indent=1)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """The time series, a row per million accesses; everything else is in the file's metadata under "rmapemu".

        Raises OSError; nothing half-written is left.
        """
        from rmapemu.sim.output import series_table, write_parquet

        write_parquet(path, series_table([self]))

    def table(self) -> str:
        """A plain-text table for people, without colours."""
        return plain(rows_of([self]))

    def digest(self) -> str:
        """A hash of all that is not time: equal for equal replays, on any machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        s = self.setup
        return f"<Result {s.trace} on {s.arch}, {s.reclaim}: {self.accesses} accesses, {self.faults} faults>"


def _per(a: float, b: float) -> float:
    return a / b if b else 0.0
