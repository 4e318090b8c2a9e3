# SPDX-License-Identifier: GPL-2.0-only
"""The walker in its two bindings: format folded by the compiler, and format read at run time. All in the CPU's caches.

Where a host-side cache spares the walk, what is left is mostly the same in both: the entry, and two counters.
"""
import time
from collections.abc import Callable

import numpy as np
from harness import interleave, report, spread

from rmapemu.hw import registry
from rmapemu.hw.bench import Mmu
from rmapemu.hw.interpreted import Interpreted
from rmapemu.hw.ops import Backend

PAGE = 4096
PAGES = 2048
WANTED = 0.75


def mapped(backend: Backend) -> Mmu:
    """An MMU with PAGES pages mapped: four leaf tables on x86-64, eight on s390."""
    mmu = Mmu(backend, frames=256)
    for n in range(PAGES):
        mmu.map(n * PAGE, 1 + n, 11, write=True)
    return mmu


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """The same, giving its seconds of CPU time: these loops are short, and a preempted one says nothing."""
    def call() -> float:
        start = time.thread_time()
        run()
        return time.thread_time() - start
    return call


def all_levels(backend: Backend, va: np.ndarray) -> Callable[[], float]:
    """page_check_address, all levels: no access was made, so there is no leaf cache."""
    mmu = mapped(backend)
    return timed(lambda: mmu.walk_many(va, cached=False, rounds=200))


def cached_leaf(backend: Backend, va: np.ndarray) -> Callable[[], float]:
    """page_check_address through the cache of the address space."""
    mmu = mapped(backend)
    mmu.access(va)
    return timed(lambda: mmu.walk_many(va, cached=False, rounds=200))


def tlb_hits(backend: Backend, va: np.ndarray) -> Callable[[], float]:
    """Accesses that the TLB serves."""
    mmu = mapped(backend)
    few = np.tile(va[:256], 1600)
    return timed(lambda: mmu.access(few))


def tlb_misses(backend: Backend, va: np.ndarray) -> Callable[[], float]:
    """Accesses that all miss the TLB (twice its size, in turn) and find their leaf cached."""
    mmu = mapped(backend)
    many = np.tile(np.arange(PAGES, dtype=np.uint64) * np.uint64(PAGE), 200)
    return timed(lambda: mmu.access(many))


WORK = {"walk, all levels": all_levels, "walk, cached leaf": cached_leaf, "access, TLB hit": tlb_hits, "access, TLB miss": tlb_misses}


def bench_compiled_against_interpreted() -> None:
    va = np.random.default_rng(1).integers(0, PAGES, PAGES).astype(np.uint64) * np.uint64(PAGE)
    rows = []
    for arch in registry.names():
        backend = registry.get(arch)
        twin = Interpreted(backend.format)
        for name, work in WORK.items():
            timing = interleave({"compiled": work(backend, va), "interpreted": work(twin, va)})
            n = PAGES * 200
            wanted = f"{WANTED}" if name.startswith("walk") else "-"
            rows.append([arch, name, spread(timing.seconds["compiled"], 1e9 / n), spread(timing.seconds["interpreted"], 1e9 / n),
                         spread(timing.ratios("compiled", "interpreted")), wanted])
    report("walker, ns of CPU time each, median and extremes", ["arch", "what", "compiled", "interpreted",
           "compiled / interpreted", "wanted at most"], rows)
