# SPDX-License-Identifier: GPL-2.0-only
"""One round of what bench_counters.py compares, in the package that PYTHONPATH names: JSON, operation -> seconds of each."""

import json
from collections.abc import Callable

import numpy as np
from traces import zipf

import rmapemu
from rmapemu import Machine, VmFlag
from rmapemu.machine.page import Page
from rmapemu.machine.timing import Timing

PAGE = 4096
TIMES = 3  # the fastest of so many


def best(loop: Callable[[], tuple[float, int]]) -> float:
    """Seconds of one operation, in the fastest round."""
    seconds, n = min(loop() for _ in range(TIMES))
    return seconds / n


def mapped(m: Machine, processes: int, pages: int) -> tuple[np.ndarray, list[Page]]:
    """Pages that so many processes map: their frames, and themselves."""
    m.sysctl.overcommit_memory = 1
    init = m.spawn("init")
    area = init.mmap(pages * PAGE)
    va = area.start + PAGE * np.arange(pages, dtype=np.uint64)
    init.access(va, "w")
    for _ in range(processes - 1):
        init.fork()
    made = [init.page_at(int(a)) for a in va]
    return np.array([page.pfn for page in made], np.uint32), made


def referenced(processes: int, pages: int) -> float:
    with Machine(memory="256M") as m:
        pfn, _ = mapped(m, processes, pages)
        timing, rounds = Timing(m), 2_000_000 // processes // pages
        timing.referenced(pfn)
        return best(lambda: (timing.referenced(pfn, rounds)[0], rounds * pages * processes))


def referenced_young() -> float:
    with Machine(memory="256M") as m:
        _, (page,) = mapped(m, 100, 1)
        timing = Timing(m)
        return best(lambda: (timing.referenced_young(page, 5000)[0], 5000 * 100))


def batches() -> float:
    with Machine(memory="256M") as m:
        pfn, _ = mapped(m, 1, 1024)
        timing = Timing(m)
        return best(lambda: (timing.referenced_batches(pfn, 1000)[0], 1000 * 1024))


def anon_vma_fork() -> float:
    with Machine(memory="64M") as m:
        process = m.spawn("init")
        area = process.mmap(PAGE)
        for _ in range(4):
            process.write(area.start)
            process = process.fork()
        process.write(area.start)
        timing, vma = Timing(m), process.vma_at(area.start)
        return best(lambda: (sum(timing.fork_chain(vma, 500)[0] for _ in range(40)), 500 * 40))


def page_mkclean() -> float:
    with Machine(memory="64M") as m:
        pages, who = 256, [m.spawn(f"p{i}") for i in range(20)]
        file = m.file(pages * PAGE)
        areas = [p.mmap(pages * PAGE, flags="shared", file=file).start for p in who]
        timing = Timing(m)

        def once() -> tuple[float, int]:
            seconds = 0.0
            for _ in range(10):
                for process, start in zip(who, areas, strict=True):
                    process.access(start + PAGE * np.arange(pages, dtype=np.uint64), "w")
                pfn = np.array([who[0].page_at(areas[0] + PAGE * i).pfn for i in range(pages)], np.uint32)
                seconds += timing.mkclean(pfn)[0]
            return seconds, 10 * pages * len(who)

        return best(once)


def clusters() -> float:
    with Machine(memory="64M") as m:
        mm, pages = m.lab.mm(), 4096
        flags = VmFlag.READ | VmFlag.WRITE | VmFlag.SHARED | VmFlag.NONLINEAR
        vma = m.lab.vma(mm, 0x40000000, pages, flags, file=m.lab.file(pages))
        for i in range(0, pages, 32):
            m.lab.set_pte(mm, vma.start + PAGE * i, file=1)
            m.lab.set_pte(mm, vma.start + PAGE * i, None)
        timing = Timing(m)
        return best(lambda: timing.clusters(vma, 200))


def replay(arch: str) -> float:
    va, write = zipf(pages=65_536, accesses=1_000_000)
    result = [rmapemu.replay(va, write=write, memory=0.1, arch=arch, sysctl={"page-cluster": 0}).replay_seconds for _ in range(TIMES)]
    return min(result) / len(va)


OPERATIONS: dict[str, Callable[[], float]] = {
    "page_referenced, 1 VMA": lambda: referenced(1, 1000),
    "page_referenced, 100 VMAs, old, each": lambda: referenced(100, 1),
    "page_referenced, 100 VMAs, young, each": referenced_young,
    "page_referenced of a batch, each": batches,
    "anon_vma_fork, chain of 5": anon_vma_fork,
    "page_mkclean, each entry": page_mkclean,
    "try_to_unmap_cluster": clusters,
    "replay of zipf, x86_64, each access": lambda: replay("x86_64"),
    "replay of zipf, s390, each access": lambda: replay("s390"),
}

if __name__ == "__main__":
    print(json.dumps({name: run() for name, run in OPERATIONS.items()}))
