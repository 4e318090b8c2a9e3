# SPDX-License-Identifier: GPL-2.0-only
"""Swap-in: from the swap cache or from the slot, reuse of an exclusive page, what stays shared. Kernel: mm/memory.c (do_swap_page)."""

import pytest

from rmapemu import KernelBug, Machine, OutOfMemory


@pytest.fixture
def m(arch):
    """Four frames for pages: the fifth page sends the one least recently used to swap."""
    with Machine(arch=arch, frames=4, swap="1M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


@pytest.fixture
def heap(m, init):
    """Five pages written with 1, 2, 3, 4, 5: page 0 is in swap."""
    area = init.mmap(8 * m.page_size)
    for i in range(5):
        init.write(area.start + i * m.page_size, i + 1)
    assert init.page_at(area.start) is None
    return area


def test_what_was_swapped_out_reads_as_it_was(m, init, heap):
    assert init.rss == {"anon": 4, "file": 0, "swap": 1}
    assert [init.read(heap.start + i * m.page_size) for i in range(5)] == [1, 2, 3, 4, 5]


def test_reading_a_slot_is_a_major_fault(m, init, heap):
    before = m.vmstat
    init.read(heap.start)
    after = m.vmstat
    assert after["pgmajfault"] - before["pgmajfault"] == 1
    assert after["pswpin"] - before["pswpin"] == 1
    assert init.maj_flt == 1


def test_a_load_leaves_the_page_in_the_swap_cache_and_read_only(m, init, heap):
    init.read(heap.start)
    assert "swapcache" in init.page_at(heap.start).flags
    assert not init.pte_at(heap.start).write


def test_a_store_to_the_only_copy_frees_the_slot(m, init, heap):
    init.write(heap.start, 9)
    page = init.page_at(heap.start)
    assert "swapcache" not in page.flags
    assert "dirty" in page.flags
    assert init.pte_at(heap.start).write
    assert page.count == 1
    assert page.anon_vma == heap.anon_vma


def test_a_store_after_a_load_reuses_the_page(m, init, heap):
    init.read(heap.start)
    page = init.page_at(heap.start)
    init.write(heap.start)
    assert init.page_at(heap.start) == page
    assert "swapcache" not in page.flags


def test_two_processes_share_what_one_of_them_reads_in(m, init, heap):
    child = init.fork()
    init.read(heap.start)
    majors = m.vmstat["pgmajfault"]
    assert child.read(heap.start) == 1
    assert m.vmstat["pgmajfault"] == majors
    assert init.page_at(heap.start) == child.page_at(heap.start)
    assert init.page_at(heap.start).mapcount == 2
    assert child.min_flt == 1


def test_a_store_while_another_process_has_the_slot_copies(m, init, heap):
    child = init.fork()
    child.write(heap.start, 9)
    assert "swapcache" not in child.page_at(heap.start).flags
    assert init.read(heap.start) == 1
    assert child.read(heap.start) == 9


def test_everything_returns_when_all_processes_have_gone(m, init, heap):
    child = init.fork()
    child.read(heap.start)
    child.exit()
    init.exit()
    assert m.vmstat["nr_anon_pages"] == 0
    assert m.meminfo()["SwapFree"] == m.meminfo()["SwapTotal"]


@pytest.mark.parametrize("private", [0x7ffffff, 0xffffffff], ids=["offset", "area"])
def test_a_page_in_a_slot_that_does_not_exist_leaves_the_swap_cache_all_the_same(arch, private):
    with Machine(arch, "4M", swap="1M") as m:
        init = m.spawn("init")
        va = init.mmap(m.page_size).start
        init.write(va)
        page = init.page_at(va)
        m.lab.swapcache(page, 0, 5)
        m.lab.private(page, private)
        m.lab.set_pte(init, va, page)
        init.write(va)
        assert init.page_at(va) == page and init.pte_at(va).write and "swapcache" not in page.flags


@pytest.mark.parametrize("call", ["read", "mlock"])
def test_a_page_in_the_swap_cache_that_knows_another_slot_is_a_bug_and_no_endless_loop(arch, call):
    with Machine(arch, "4M", swap="1M") as m:
        init = m.spawn("init")
        va = init.mmap(m.page_size).start
        page = m.lab.page()
        m.lab.swapcache(page, 0, 5)
        m.lab.private(page, 6)
        m.lab.set_pte(init, va, swap=(0, 5))
        with pytest.raises(KernelBug, match="page_private"):
            init.read(va) if call == "read" else init.mlock(va, m.page_size)


@pytest.mark.parametrize("slot", [(0, 16000), (1, 5)], ids=["offset", "area"])
def test_no_neighbours_are_read_with_a_slot_that_does_not_exist(arch, slot):
    with Machine(arch, "4M", swap="64M") as larger, Machine(arch, "4M", swap="1M") as m:
        larger.swapon("1M")
        raw = larger.lab.set_pte(larger.lab.mm(), 0x200000, swap=slot).raw
        init = m.spawn("init")
        va = init.mmap(m.page_size).start
        init.write(va)
        m.lab.set_pte(init, va, raw=raw)
        assert m.sysctl["page-cluster"] == 3
        with pytest.raises(OutOfMemory):
            init.read(va)
        assert m.vmstat["pswpin"] == 0
