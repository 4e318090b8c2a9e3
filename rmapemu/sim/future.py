# SPDX-License-Identifier: GPL-2.0-only
"""When each page is used next: what Belady's algorithm (reclaim="opt") has to know beforehand.

Models nothing of the kernel. This is the one part of a replay that is not bounded by the touched pages: it holds
12 bytes for each access of the trace while it is made, and 8 from then on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmapemu.sim.pageset import next_use_of
from rmapemu.sim.survey import Survey
from rmapemu.trace import Trace, pages


def next_uses(trace: Trace, found: Survey) -> npt.NDArray[np.uint64]:
    """uint64[accesses]: the position of the next access to the same page of the same process; `accesses` if none."""
    numbers = np.empty(found.accesses, np.uint32)
    first = np.concatenate([[0], np.cumsum([len(process.pages) for process in found.processes])])
    at = 0
    for batch in trace:
        va, _kind, pid = pages(batch, found.page_shift)
        page = va >> np.uint64(found.page_shift)
        who = found.who(pid)
        part = numbers[at : at + len(va)]
        for i, process in enumerate(found.processes):
            mine = slice(None) if who is None else who == i
            part[mine] = np.searchsorted(process.pages, page[mine]) + first[i]
            if who is None:
                break
        at += len(va)
    return next_use_of(numbers, found.touched_pages)
