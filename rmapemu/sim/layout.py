# SPDX-License-Identifier: GPL-2.0-only
"""How large a machine a replay gets: frames for the trace's own pages, and what the kernel needs on top of them.

Kernel: the frames of page tables (pte_alloc, pmd_alloc, ...), init_per_zone_wmark_min and setup_per_zone_wmarks for the
low watermark. With a share or a size of memory, at most so many pages of the trace are resident on every arch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from rmapemu.hw.registry import get
from rmapemu.machine.sizes import parse_int, parse_size, short
from rmapemu.sim.sizes import Memory
from rmapemu.sim.survey import Pages, Survey

RESERVED_FRAMES = 2
"""Frame 0, which is never used, and the zero page."""

ALLOC_SLACK = 2
"""zone_watermark_ok wants more than the watermark to be free after an allocation, and counts one page twice."""

LEAST_FRAMES = 32
"""Fewest frames of the trace's own with memory=: one batch of reclaim (SWAP_CLUSTER_MAX)."""


LEAST_MACHINE, MOST_FRAMES = 64, 1 << 31
"""Frames that a machine can have."""


@dataclass(frozen=True)
class Layout:
    """Sizes of a machine. frames: for the trace's own pages. memory_bytes: all of them, or with exact_frames their own."""

    backend: Any
    arch: str
    frames: int
    exact_frames: bool
    memory_bytes: int
    swap_bytes: int
    page_bytes: int

    def machine_options(self) -> dict[str, Any]:
        """Keyword arguments for Machine."""
        size = {"frames": self.frames} if self.exact_frames else {"memory": self.memory_bytes}
        return size | {"swap": self.swap_bytes or None}

    def held(self) -> str:
        """What there is, as text for an error."""
        return f"{self.frames} frames and {self.swap_bytes // self.page_bytes} pages of swap"


def check_amounts(frames: int | None, swap: int | str | None) -> None:
    """Raise ValueError or TypeError for what is wrong whatever the trace is, before it is read."""
    if frames is not None and parse_int(frames, "frames") < 1:
        raise ValueError(f"frames={frames}: the least that runs is 1")
    if swap is not None:
        parse_size(swap, "swap")


def plan(
    found: Survey, backend: Any, memory: Memory | None, frames: int | None, swap: int | str | None, min_free_kbytes: int | None = None
) -> Layout:
    """The machine for a surveyed trace; with neither memory nor frames, all that it touches fits.

    min_free_kbytes: where it is going to be set; else the kernel's default decides how much is kept free.
    Raises ValueError for amounts with which nothing can run, naming the least.
    """
    page_bytes = 1 << found.page_shift
    # never more than half full: from then on v3.2 frees the slots of pages that are swapped in (vm_swap_full); and a
    # header, and a slot that its search can miss
    swap_bytes = (2 * found.touched_pages + 2) * page_bytes if swap is None else parse_size(swap, "swap")
    if frames is not None:
        return Layout(backend.backend, backend.name, frames, True, frames * page_bytes, swap_bytes, page_bytes)
    own = max(found.touched_pages, LEAST_FRAMES)
    if memory is not None:
        own = memory.pages(found.touched_pages, found.page_shift)
    if own < LEAST_FRAMES:
        share = f", {-(-100 * LEAST_FRAMES // found.touched_pages)}% of the {found.touched_pages} that are touched"
        raise ValueError(
            f"memory: the least that runs is {LEAST_FRAMES * page_bytes} bytes ({LEAST_FRAMES} pages{share}), found {own}"
        )
    tables = sum(backend.table_frames(process.pages) for process in found.processes)
    total = max(LEAST_MACHINE, total_frames(own, tables + RESERVED_FRAMES, found.page_shift, min_free_kbytes))
    if total > MOST_FRAMES:
        raise ValueError(f"memory: the most that there can be is {MOST_FRAMES} frames, found {short(total)}")
    return Layout(backend.backend, backend.name, own, False, total * page_bytes, swap_bytes, page_bytes)


def total_frames(own: int, kept: int, page_shift: int, min_free_kbytes: int | None = None) -> int:
    """Frames of a machine in which `own` are left above the low watermark when `kept` are in other use.

    >>> total_frames(1000, 10, 12), low_watermark(1094, 12)
    (1094, 82)
    """
    total = own
    while (left := total - kept - low_watermark(total, page_shift, min_free_kbytes) - ALLOC_SLACK) < own:
        total += own - left
    return total


def low_watermark(frames: int, page_shift: int, min_free_kbytes: int | None = None) -> int:
    """WMARK_LOW in pages of a zone of so many frames: min_free_kbytes (None: v3.2's default) and a quarter."""
    if min_free_kbytes is None:
        kbytes = (frames - RESERVED_FRAMES) << (page_shift - 10)
        min_free_kbytes = min(max(isqrt(16 * kbytes), 128), 65536)
    low = min_free_kbytes >> (page_shift - 10)
    return low + (low >> 2)


@dataclass(frozen=True)
class Arch:
    """What a plan has to know of an arch: its MMU, its user space's first address that is none, its tables."""

    backend: Any
    name: str
    page_shift: int
    user_limit: int
    level_shifts: tuple[int, ...]
    """Per level of tables, from the leaf's up: lg2 of the bytes that one table of it covers."""
    tables_per_frame: tuple[float, ...]
    """Per level: how many tables fit in a frame (less than 1: one needs several frames)."""
    levels: int
    """Of a new address space; it grows to reach what it has to."""

    def table_frames(self, touched: Pages) -> int:
        """Frames that the tables over the touched pages (ascending page numbers) take, when all have been touched."""
        depth = self.levels
        last = (int(touched[-1]) + 1) << self.page_shift
        while depth < len(self.level_shifts) and last > 1 << self.level_shifts[depth - 1]:
            depth += 1
        frames = 0.0
        for level in range(depth):
            spans = touched >> np.uint64(self.level_shifts[level] - self.page_shift)
            tables = 1 if level == depth - 1 else 1 + int(np.count_nonzero(np.diff(spans)))
            if level >= self.levels - 1 and level < depth - 1 and int(spans[0]):
                tables += 1  # the former top table, from before it grew
            frames += -(-tables // self.tables_per_frame[level])
        return int(frames)


def backend_of(arch: Any) -> Arch:
    """An arch by the name of its entry point (ValueError with the near names), or a Backend."""
    backend = get(arch)
    form = backend.format
    levels = form.level[: form.max_levels]
    return Arch(
        backend, backend.name, form.page_shift, (1 << form.user_bits) - (1 << form.page_shift),
        tuple(level.shift + level.index_bits for level in levels),
        tuple(level.tables_per_frame / (1 << level.table_order) for level in levels),
        form.levels,
    )  # fmt: skip
