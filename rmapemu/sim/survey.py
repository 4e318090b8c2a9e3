# SPDX-License-Identifier: GPL-2.0-only
"""The first pass over a trace: which processes there are, which pages they touch, which mappings that makes.

Models nothing of the kernel. Memory is bounded by the touched pages, whatever the trace's length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from rmapemu.errors import TraceError
from rmapemu.sim.pageset import PageSet
from rmapemu.trace import KIND_EXEC, KIND_WRITE, Batch, infer_mappings, pages

MAX_PROCESSES = 4096
EXECUTED = np.uint8(1 << KIND_EXEC)
WRITTEN = np.uint8(1 << KIND_WRITE)

Pages = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Touched:
    """What one process touches. pid: as in the trace, or None. pages: uint64[k], ascending page numbers.

    mappings: inferred (first page, page after the last), ascending and disjoint.
    """

    pid: int | None
    pages: Pages
    mappings: list[tuple[int, int]]


@dataclass(frozen=True)
class Survey:
    """A whole trace: its processes, the page touches in it (accesses that cross a page count once for each page)."""

    name: str
    page_shift: int
    accesses: int
    executes: bool
    processes: list[Touched]
    pids: npt.NDArray[np.uint32] | None = field(compare=False)
    skipped_lines: int = 0
    only_read: int = 0
    """Touched pages that no access writes to."""
    seconds: float = 0.0
    """Wall time of this pass."""

    @property
    def touched_pages(self) -> int:
        return sum(len(process.pages) for process in self.processes)

    @property
    def nr_mappings(self) -> int:
        return sum(len(process.mappings) for process in self.processes)

    def who(self, pid: npt.NDArray[np.uint32] | None) -> npt.NDArray[np.uint32] | None:
        """The process numbers (uint32[n], from 0) of a batch's pids; None where the trace has one process."""
        if pid is None or self.pids is None or len(self.pids) == 1:
            return None
        return np.searchsorted(self.pids, pid).astype(np.uint32)


def survey(
    trace: Any, name: str, page_shift: int, user_limit: int, progress: Callable[[int], None] | None = None
) -> Survey:
    """Read all of an open trace. user_limit: the first address that the arch's user space does not have.

    progress(bytes read) is called after every batch. Raises TraceError for an address at or above the limit, naming
    it and the access, and for more than MAX_PROCESSES processes; and what reading raises.
    """
    sets: dict[int | None, PageSet] = {}
    touches, accesses, executes = 0, 0, False
    began = perf_counter()
    for batch in trace:
        for pid, part, number in _by_process(batch):
            if pid not in sets and len(sets) >= MAX_PROCESSES:
                raise TraceError(f"{name}: expected at most {MAX_PROCESSES} processes, found more")
            found = sets.setdefault(pid, PageSet(page_shift, user_limit)).add(part.address, part.size, part.kind)
            if found is not None:
                _refuse(part, found, accesses + (found if number is None else int(number[found])), name, user_limit)
        accesses += len(batch.address)
        touches += len(pages(batch, page_shift)[0])
        if progress is not None:
            progress(trace.bytes_read)
    processes, only_read = [], 0
    for pid in sorted(sets, key=lambda pid: -1 if pid is None else pid):
        touched, kinds = sets[pid].pages()
        executes = executes or bool((kinds & EXECUTED).any())
        only_read += int(np.count_nonzero(kinds & WRITTEN == 0))
        processes.append(Touched(pid, touched, infer_mappings(touched)))
    pids = None if None in sets else np.array(sorted(sets), np.uint32)  # type: ignore[type-var]
    return Survey(
        name, page_shift, touches, executes, processes, pids, trace.stats.skipped_lines, only_read, perf_counter() - began
    )


def _by_process(batch: Batch) -> Any:
    """(pid, accesses, their numbers in the batch or None for all) for each process in the batch."""
    if batch.pid is None:
        yield None, batch, None
        return
    first = batch.pid[0]
    if (batch.pid == first).all():
        yield int(first), batch, None
        return
    for pid in np.unique(batch.pid):
        number = np.flatnonzero(batch.pid == pid)
        size = None if batch.size is None else batch.size[number]
        yield int(pid), Batch(None, batch.address[number], size, batch.kind[number]), number


def _refuse(part: Batch, at: int, number: int, name: str, limit: int) -> None:
    size = 1 if part.size is None else int(part.size[at])
    raise TraceError(
        f"{name}: access {number + 1}: expected addresses below {limit:#x}, found {int(part.address[at]):#x} of size {size}"
    )
