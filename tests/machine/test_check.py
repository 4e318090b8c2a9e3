# SPDX-License-Identifier: GPL-2.0-only
"""check() finds what is broken by hand, and says where."""

import numpy as np
import pytest

from rmapemu import CheckError, Machine, VmFlag


@pytest.fixture
def broken(arch):
    """A machine, a process and its heap of four pages, all in order yet."""
    machine = Machine(arch, "16M", swap="16M")
    process = machine.spawn()
    heap = process.mmap(4 * machine.page_size)
    process.access(heap.start + machine.page_size * np.arange(4), "w")
    machine.check()
    return machine, process, heap


BREAK = {
    "mapcount differs": lambda lab, process, heap, page: lab.mapcount(page, 2),
    "count is less": lambda lab, process, heap, page: (process.fork(), lab.count(page, 1)),
    "another address": lambda lab, process, heap, page: lab.index(page, page.index + 1),
    "without a mapping": lambda lab, process, heap, page: lab.mapping(page, None),
    "rss of anonymous": lambda lab, process, heap, page: lab.rss(process, "anon", 3),
    "rss": lambda lab, process, heap, page: lab.set_pte(process, heap.start),
    "swap entries": lambda lab, process, heap, page: lab.rss(process, "swap", 1),
    "flags say": lambda lab, process, heap, page: lab.flags(page, clear=1 << 6),
    "users, and entries": lambda lab, process, heap, page: lab.swap_count(0, 5, 1),
    "nr_mlock": lambda lab, process, heap, page: lab.flags(page, set=1 << 21),
    "outside of all VMAs": lambda lab, process, heap, page: lab.set_pte(process, heap.end, page),
    "not linked to the page's anon_vma": lambda lab, process, heap, page: lab.mapping(page, other_anon_vma(lab)),
    "nr_anon_pages": lambda lab, process, heap, page: lab.zone_stat("nr_anon_pages", 9),
    "nr_free_pages": lambda lab, process, heap, page: lab.zone_stat("nr_free_pages", 9),
}


def other_anon_vma(lab):
    vma = lab.vma(lab.mm(), 0x30000, 1)
    lab.machine.rmap.anon_vma_prepare(vma)
    return vma.anon_vma


@pytest.mark.parametrize("what", BREAK)
def test_a_state_broken_by_hand_is_found(broken, what):
    machine, process, heap = broken
    BREAK[what](machine.lab, process, heap, process.page_at(heap.start))
    with pytest.raises(CheckError, match=what):
        machine.check()


def test_a_lock_that_someone_else_holds_is_no_fault(broken):
    machine, process, _heap = broken
    machine.lab.hold("ptl", process)
    machine.check()


def test_check_is_quick_enough_to_run_after_every_step(broken):
    import time

    machine, _process, _heap = broken
    best = min(timed(machine.check, time.perf_counter) for _ in range(7))
    assert best < 0.05


def timed(function, clock):
    start = clock()
    function()
    return clock() - start


def test_a_small_page_in_a_hugetlb_vma_has_no_address_there_and_harms_nobody_who_looks():
    """The kernel would follow NULL (huge_page_order of no hstate)."""
    with Machine("x86_64", memory="16M") as m:
        lab, mm = m.lab, m.lab.mm()
        vma = lab.vma(mm, 1 << 30, 512, VmFlag.READ | VmFlag.WRITE | VmFlag.HUGETLB)
        other = lab.vma(mm, 1 << 21, 1)
        m.rmap.anon_vma_prepare(other)
        page = lab.page()
        m.rmap.page_add_new_anon_rmap(page, other, other.start)
        lab.vma_anon_vma(vma, other.anon_vma)
        entry = m.rmap.anon_vma_chain_alloc()
        m.rmap.anon_vma_chain_link(vma, entry, other.anon_vma)
        lab.set_pte(mm, vma.start, page)
        assert page.mappers() == []
        with pytest.raises(CheckError, match="the page's index leads to another address"):
            m.check()
