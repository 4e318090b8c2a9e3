# SPDX-License-Identifier: GPL-2.0-only
"""The same work done twice: as ever, and with a lock held by somebody else that nobody takes. Then every walk has to note what it holds,
so that all of it goes the general way: what the shorter ways leave out must not show."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from rmapemu import Machine, OutOfMemory
from rmapemu.machine.page import Page
from rmapemu.machine.process import Process

UNUSED_LOCK = "sb_lock"
Dump = dict[str, Any]


def both_ways(arch: str, work: Callable[[Machine], object], consistent: bool = True, **options: Any) -> tuple[Dump, Dump]:
    """The machine's whole state after the work, costs included, the short way and the general way."""
    dumps = []
    for general in (False, True):
        with Machine(arch, **options) as m:
            if general:
                m.lab.hold(UNUSED_LOCK)
            work(m)
            if general:
                m.lab.release(UNUSED_LOCK)
            if consistent:
                m.check()
            dumps.append(m.dump())
    return dumps[0], dumps[1]


def crowd(seed: int, processes: int, pages: int, rounds: int) -> Callable[[Machine], None]:
    """Forks that read and write private memory, some of it locked, more than fits; until it is out of memory, if it comes to that."""

    def work(m: Machine) -> None:
        g = np.random.default_rng(seed)
        m.sysctl["page-cluster"] = 0
        ps = [m.spawn("init")]
        area = ps[0].mmap(pages * m.page_size)
        va = np.uint64(area.start) + np.arange(pages, dtype=np.uint64) * np.uint64(m.page_size)
        try:
            for _ in range(rounds):
                p = ps[g.integers(len(ps))]
                p.access(g.choice(va, 3 * pages // 4), g.random(3 * pages // 4) < 0.4)
                if len(ps) < processes:
                    ps.append(p.fork())
                at = int(g.integers(pages - 4))
                if g.random() < 0.3:
                    p.mlock(int(va[at]), 2 * m.page_size)
                if g.random() < 0.3:
                    p.munlock(int(va[at]), 4 * m.page_size)
        except OutOfMemory:
            return

    return work


Odd = Callable[[Machine, Process, Page, int], Iterator[None]]
"""Makes something of a process' page at an address; goes on, after its yield, when memory has been short, and sets right what it did."""


def squeezed_both_ways(arch: str, odd: Odd, fits: bool = True, consistent: bool = True) -> tuple[Dump, Dump]:
    """A process writes more than memory can hold, while one of eight old, dirty pages at the inactive list's tail is odd. With fits=False
    swap must not help; consistent=False: no kernel could have come to what is left."""

    pages = 400

    def work(m: Machine) -> None:
        m.sysctl["page-cluster"] = 0
        init = m.spawn("init")
        va = np.uint64(init.mmap(pages * m.page_size).start) + np.arange(pages, dtype=np.uint64) * np.uint64(m.page_size)
        init.access(va[:40], "w")
        row = [(int(a), init.page_at(int(a))) for a in va[:8]]
        for address, page in row:
            m.lab.lru(page, None)
            m.lab.lru(page, "inactive_anon", "tail")
            m.lab.set_pte(init, address, page, write=True, dirty=True)
            if arch == "s390":
                m.lab.storage_key(page, 2)
        steps = odd(m, init, row[3][1], row[3][0])
        next(steps)
        with nullcontext() if fits else pytest.raises(OutOfMemory):
            init.access(va[40:], "w")
        for _ in steps:
            raise ValueError("expected one yield")

    return both_ways(arch, work, consistent, memory="1M", swap="16M")
