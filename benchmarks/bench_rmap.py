# SPDX-License-Identifier: GPL-2.0-only
"""The reverse map against bare loops over the same memory, measured in the same run; page_mkclean against this kernel's fsync."""
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from harness import interleave, report, spread

from rmapemu import Machine, VmFlag
from rmapemu.machine.process import Process
from rmapemu.machine.timing import Timing

PAGE = 4096
WALKS = 400_000                 # VMAs visited per measurement
BARS = {100: (0.3, 1.2), 1000: (0.15, 0.5)}


def seconds(loop: Callable[..., tuple[float, int]], *args: object) -> float:
    """The first of what a loop of Timing returns."""
    return loop(*args)[0]


def again(rounds: int, loop: Callable[[], float]) -> float:
    return sum(loop() for _ in range(rounds))


def shared(n: int) -> tuple[Machine, Process, int]:
    """A page that n processes map: its machine, the first of them, its address."""
    m = Machine(memory="256M")
    m.sysctl.overcommit_memory = 1
    init = m.spawn("init")
    area = init.mmap(64 * PAGE)
    init.write(area.start)
    for _ in range(n - 1):
        init.fork()
    return m, init, area.start


def bench_page_referenced_over_forked_processes() -> None:
    rows = []
    for n in (1, 10, 100, 1000):
        m, init, va = shared(n)
        timing, page = Timing(m), init.page_at(va)
        assert page is not None and page.mapcount == n
        rounds = max(1, WALKS // n)
        pfn = np.array([page.pfn], np.uint32)
        timing.referenced(pfn)
        took = interleave(
            {
                "chase": partial(seconds, timing.chase, page, rounds),
                "old": partial(seconds, timing.referenced, pfn, rounds),
                "young": partial(seconds, timing.referenced_young, page, rounds),
            }
        )
        old, young = BARS.get(n, (None, None))
        rows.append(
            [f"{n:,}"]
            + [spread(took.seconds[k], 1e9 / rounds / n) for k in ("chase", "old", "young")]
            + [spread(took.ratios("old", "chase")), str(old or ""), spread(took.ratios("young", "chase")), str(young or "")]
        )
        m.close()
    report(
        "page_referenced of a page that N processes map, ns per VMA; the chase loads one pointer per structure that a walk touches",
        ["N", "bare chase", "old entries", "young entries", "old / chase", "at most", "young / chase", "at most"],
        rows,
    )


def bench_a_million_pages() -> None:
    processes, pages = 1000, 1000
    start = time.perf_counter()
    m = Machine(memory=(processes + 2) * (pages + 16) * PAGE)
    m.sysctl.overcommit_memory = 1
    before = resident()
    init = m.spawn("init")
    area = init.mmap(pages * PAGE)
    va = area.start + PAGE * np.arange(pages, dtype=np.uint64)
    init.access(va, "w")
    children = [init.fork() for _ in range(processes)]
    for child in children:
        child.access(va, "w")
    built = time.perf_counter() - start
    frames = m.mem_map
    pfn = np.flatnonzero((frames["mapping"] & 3 == 1) & (frames["mapcount"] == 1)).astype(np.uint32)
    assert len(pfn) >= processes * pages
    timing = Timing(m)
    timing.referenced(pfn)
    took = interleave({"bare": lambda: timing.struct_and_entry(pfn)[0], "page_referenced": lambda: timing.referenced_batches(pfn)[0]})
    report(
        f"page_referenced of {len(pfn):,} pages copied on write by {processes:,} children, in reclaim's batches; built in {built:.2f} s,"
        f" {len(pfn) / built / 1e6:.2f} million pages a second, {(resident() - before) / 1e6:,.0f} MB (wanted at most 2,000)",
        ["bare pass over struct page and entry, ns a page", "page_referenced, ns a page", "ratio", "wanted at most"],
        [
            [
                spread(took.seconds["bare"], 1e9 / len(pfn)),
                spread(took.seconds["page_referenced"], 1e9 / len(pfn)),
                spread(took.ratios("page_referenced", "bare")),
                "2",
            ]
        ],
    )
    del frames


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * PAGE


def bench_anon_vma_fork() -> None:
    rows, rounds = [], 20
    for depth in (1, 4, 16, 64):
        m = Machine(memory="64M")
        m.sysctl.overcommit_memory = 1
        process = m.spawn("init")
        area = process.mmap(PAGE)
        process.write(area.start)
        for _ in range(depth - 1):
            process = process.fork()
            process.write(area.start)
        vma = process.vma_at(area.start)
        timing = Timing(m)
        entries = timing.fork_chain(vma, 1)[1]
        assert entries == depth + 1
        children = 4096 // entries      # what both sides touch fits a cache
        took = interleave(
            {
                "bare": partial(again, rounds, partial(timing.list_nodes, entries + 1, children)),
                "anon_vma_fork": partial(again, rounds, partial(seconds, timing.fork_chain, vma, children)),
            }
        )
        rows.append(
            [str(depth), str(entries)]
            + [spread(took.seconds[k], 1e9 / children / rounds) for k in ("bare", "anon_vma_fork")]
            + [spread(took.ratios("anon_vma_fork", "bare")), "3"]
        )
        m.close()
    report(
        "anon_vma_fork by depth of the chain, ns a fork; the floor takes as many objects (the anon_vma too) off a free list and links them",
        ["depth", "chain entries made", "bare", "anon_vma_fork", "ratio", "wanted at most"],
        rows,
    )


@contextmanager
def children_mapping(path: str, pages: int, processes: int) -> Iterator[Callable[[], None]]:
    """Processes that map the file; the function has each of them store to every page, and waits until all have."""
    pipes = []
    for _ in range(processes):
        go, done = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            fd = os.open(path, os.O_RDWR)
            area = mmap.mmap(fd, pages * PAGE, mmap.MAP_SHARED)
            while os.read(go[0], 1) == b"x":
                for i in range(pages):
                    area[i * PAGE] = 1
                os.write(done[1], b"x")
            os._exit(0)
        os.close(go[0])
        os.close(done[1])
        pipes.append((pid, go[1], done[0]))

    def store() -> None:
        for _, go, _ in pipes:
            os.write(go, b"x")
        for _, _, done in pipes:
            os.read(done, 1)

    yield store
    for pid, go, done in pipes:
        os.write(go, b"q")
        os.waitpid(pid, 0)
        os.close(go)
        os.close(done)


def kernel_fsync(path: str, pages: int, processes: int) -> float:
    """Seconds of the fsync of a file of which `processes` mappings have stored to every page, the fastest of three."""
    with children_mapping(path, pages, processes) as store:
        fd = os.open(path, os.O_RDWR)
        best = 1e9
        for _ in range(3):
            store()
            start = time.perf_counter()
            os.fsync(fd)
            best = min(best, time.perf_counter() - start)
        os.close(fd)
    return best


def kernel_per_entry(path: str, pages: int) -> float:
    """Seconds per entry: the slope of fsync over 1, 10 and 100 processes, by least squares."""
    n = np.array([1, 10, 100])
    took = np.array([kernel_fsync(path, pages, k) for k in n])
    return max(float(np.polyfit(n * pages, took, 1)[0]), 1e-12)


def our_per_entry(pages: int, processes: int) -> float:
    with Machine(memory="64M") as m:
        m.sysctl.overcommit_memory = 1
        file = m.file(pages * PAGE)
        va = []
        who = [m.spawn(f"p{i}") for i in range(processes)]
        for process in who:
            va.append(process.mmap(pages * PAGE, flags="shared", file=file).start)
        timing = Timing(m)
        best = 1e9
        for _ in range(5):
            for process, start in zip(who, va, strict=True):
                process.access(start + PAGE * np.arange(pages, dtype=np.uint64), "w")
            pfn = np.array([who[0].page_at(va[0] + PAGE * i).pfn for i in range(pages)], np.uint32)
            seconds, cleaned = timing.mkclean(pfn)
            assert cleaned == pages * processes
            best = min(best, seconds)
        return best / pages / processes


def bench_page_mkclean_against_fsync() -> None:
    pages, processes = 256, 100
    folder = os.environ.get("RMAPEMU_BENCH_DIR") or tempfile.gettempdir()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(bytes(pages * PAGE))
        file.flush()
        took = interleave(
            {"kernel": partial(kernel_per_entry, file.name, pages), "ours": partial(our_per_entry, pages, processes)}
        )
    if max(took.seconds["kernel"]) < 1e-9:
        pytest.skip(f"fsync of a file in {folder} does not write-protect its mappings; name a disk's folder in RMAPEMU_BENCH_DIR")
    report(
        f"page_mkclean of {pages} pages that {processes} processes map and have written, ns an entry;"
        " the kernel: slope of fsync over 1, 10 and 100 processes",
        ["this kernel", "rmapemu", "ratio", "wanted at least"],
        [[spread(took.seconds["kernel"], 1e9), spread(took.seconds["ours"], 1e9), spread(took.ratios("kernel", "ours")) + "x", "3x"]],
    )


def bench_cluster_scan() -> None:
    pages, rounds = 4096, 200
    m = Machine(memory="64M")
    lab = m.lab
    mm = lab.mm()
    vma = lab.vma(mm, 0x40000000, pages, VmFlag.READ | VmFlag.WRITE | VmFlag.SHARED | VmFlag.NONLINEAR, file=lab.file(pages))
    for i in range(0, pages, 32):
        lab.set_pte(mm, vma.start + PAGE * i, file=1)
        lab.set_pte(mm, vma.start + PAGE * i, None)
    timing = Timing(m)
    took = interleave({"bare": lambda: timing.bare_clusters(vma, rounds)[0], "cluster": lambda: timing.clusters(vma, rounds)[0]})
    n = timing.clusters(vma, 1)[1]
    assert timing.bare_clusters(vma, 1)[1] == n == pages // 32
    report(
        "try_to_unmap_cluster over 32 entries of which none is present, ns a cluster; the floor walks, tries a lock and tests them",
        ["bare", "try_to_unmap_cluster", "ratio", "wanted at most"],
        [
            [
                spread(took.seconds["bare"], 1e9 / rounds / n),
                spread(took.seconds["cluster"], 1e9 / rounds / n),
                spread(took.ratios("cluster", "bare")),
                "1.2",
            ]
        ],
    )
