# SPDX-License-Identifier: GPL-2.0-only
"""The same work done twice: as ever, and with a lock held by somebody else that nobody takes. Then every walk has to note what it holds,
so that all of it goes the general way: what the shorter ways leave out must not show."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rmapemu import Machine, OutOfMemory

UNUSED_LOCK = "sb_lock"


def both_ways(arch: str, work: Callable[[Machine], object], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The machine's whole state after the work, costs included, the short way and the general way."""
    dumps = []
    for general in (False, True):
        with Machine(arch, **options) as m:
            if general:
                m.lab.hold(UNUSED_LOCK)
            work(m)
            if general:
                m.lab.release(UNUSED_LOCK)
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
