# SPDX-License-Identifier: GPL-2.0-only
"""fork and faults against the kernel that runs this: time per entry copied, and per access that faults."""

import ctypes
import mmap
import os
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from harness import interleave, report, spread

from rmapemu import Machine

PAGE = 4096
ARCHS = ("x86_64", "s390")
libc = ctypes.CDLL(None, use_errno=True)


def touched(pages: int) -> mmap.mmap:
    """Private anonymous memory with every page of 4 KiB written once, no huge pages."""
    area = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    for i in range(pages):
        area[i * PAGE] = 1
    return area


def kernel_fork() -> float:
    """Seconds of one fork (the child leaves at once), as the parent sees it."""
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    took = time.perf_counter() - start
    os.waitpid(pid, 0)
    return took


def kernel_fork_per_pte(pages: int) -> float:
    """Seconds per entry: the slope between a process with `pages` more pages and one without."""
    base = min(kernel_fork() for _ in range(5))
    area = touched(pages)
    took = min(kernel_fork() for _ in range(3))
    area.close()
    return max(took - base, 1e-9) / pages


def our_fork_per_pte(arch: str, pages: int) -> float:
    with Machine(arch, memory=(pages + pages // 64 + 4096) * PAGE) as m:
        m.sysctl.overcommit_memory = 1
        init = m.spawn("init")
        area = init.mmap(pages * PAGE)
        init.access(area.start + PAGE * np.arange(pages, dtype=np.uint64), "w")
        best = 1e9
        for _ in range(3):
            start = time.perf_counter()
            child = init.fork()
            best = min(best, time.perf_counter() - start)
            child.exit()
        return best / pages


def compare(title: str, peer: str, theirs: Callable[[], float], ours: Callable[[str], float]) -> None:
    """A row per arch; both sides give seconds per entry or access."""
    timing = interleave({"kernel": theirs} | {arch: partial(ours, arch) for arch in ARCHS})
    rows = [
        [
            arch,
            spread(timing.seconds["kernel"], 1e9),
            spread(timing.seconds[arch], 1e9),
            spread(timing.ratios("kernel", arch), digits=1) + "x",
            "10x",
        ]
        for arch in ARCHS
    ]
    report(title, ["arch", peer, "rmapemu", "ratio", "wanted at least"], rows)


def bench_fork_per_entry() -> None:
    pages = 65_536
    compare(
        f"fork of {pages:,} anonymous pages, ns per entry copied",
        "this kernel",
        partial(kernel_fork_per_pte, pages),
        partial(our_fork_per_pte, pages=pages),
    )


def kernel_first_touch(pages: int) -> float:
    """Seconds per first-touch anonymous fault: one store per page of fresh memory, in C."""
    area = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    view = np.frombuffer(area, dtype=np.uint8)[::PAGE]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    start = time.perf_counter()
    view[:] = 1
    took = time.perf_counter() - start
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults >= pages * 0.99, "the kernel served several pages with one fault"
    del view
    area.close()
    return took / pages


def our_sweep(arch: str, frames: int) -> float:
    """Seconds per store of a sweep over fresh pages, four times the memory, once memory is full: fault, eviction, swap-out."""
    with Machine(arch, memory=frames * PAGE, swap=8 * frames * PAGE) as m:
        init = m.spawn("init")
        full = init.mmap(frames * PAGE)
        init.access(full.start + PAGE * np.arange(frames, dtype=np.uint64), "w")
        area = init.mmap(4 * frames * PAGE)
        va = area.start + PAGE * np.arange(4 * frames, dtype=np.uint64)
        before = m.vmstat
        start = time.perf_counter()
        init.access(va, "w")
        took = time.perf_counter() - start
        assert m.vmstat["pgfault"] - before["pgfault"] == len(va), "an access did not fault"
        assert m.vmstat["pswpout"] - before["pswpout"] >= 0.95 * len(va), "an access did not evict"
        return took / len(va)


def bench_sweep_of_writes() -> None:
    compare(
        "a sweep of writes over 4x the memory: fault, eviction, swap-out; ns per access",
        "this kernel's first touch",
        partial(kernel_first_touch, 65_536),
        partial(our_sweep, frames=16_384),
    )
