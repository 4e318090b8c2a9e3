# SPDX-License-Identifier: GPL-2.0-only
"""Faults: zero-filled memory, the zero page, what is refused, and what is counted. Kernel: mm/memory.c."""

import pytest

from rmapemu import Machine
from rmapemu.errors import OutOfMemory, SegmentationFault


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="16M", swap="4M") as machine:
        yield machine
        if not machine.dead:
            machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def test_a_first_store_maps_a_new_page_that_is_active_and_swap_backed(m, init):
    heap = init.mmap(2 * m.page_size)
    init.write(heap.start)
    page = init.page_at(heap.start)
    assert (page.mapcount, page.count, page.index) == (1, 1, heap.start // m.page_size)
    assert {"uptodate", "lru", "active", "swapbacked"} <= set(page.flags)
    assert page.anon_vma == heap.anon_vma
    assert init.rss == {"anon": 1, "file": 0, "swap": 0}
    assert m.vmstat["nr_anon_pages"] == 1
    assert init.page_at(heap.start + m.page_size) is None


def test_a_first_load_maps_the_zero_page_that_counts_nowhere(m, init):
    heap = init.mmap(2 * m.page_size)
    assert init.read(heap.start) == 0
    entry = init.pte_at(heap.start)
    assert entry.special and not entry.write
    assert heap.anon_vma is None
    assert init.rss["anon"] == 0
    assert (m.vmstat["pgfault"], init.min_flt, init.maj_flt) == (1, 1, 0)


def test_a_store_to_the_zero_page_gives_a_page_of_its_own(m, init):
    heap = init.mmap(m.page_size)
    init.read(heap.start)
    init.write(heap.start, 5)
    assert init.page_at(heap.start).mapcount == 1
    assert init.read(heap.start) == 5
    assert init.rss["anon"] == 1
    assert m.vmstat["pgfault"] == 2


def test_without_the_zero_page_a_load_gets_a_frame_too(arch):
    with Machine(arch=arch, frames=4, swap="1M") as m:
        init = m.spawn("init")
        heap = init.mmap(m.page_size)
        init.read(heap.start)
        assert init.page_at(heap.start).mapcount == 1


def test_each_page_faults_once(m, init):
    heap = init.mmap(8 * m.page_size)
    for _ in range(3):
        init.access([heap.start + i * m.page_size for i in range(8)], "w")
    assert m.vmstat["pgfault"] == 8


def test_an_access_outside_of_all_mappings_is_a_mapping_error(m, init):
    heap = init.mmap(m.page_size)
    for address in (0, heap.start - m.page_size, heap.end, 1 << 63, 0xFFFF_8000_0000_0000):
        with pytest.raises(SegmentationFault) as caught:
            init.read(address)
        assert (caught.value.reason, caught.value.address) == ("MAPERR", address)
    assert m.vmstat["pgfault"] == 0


def test_a_store_to_a_read_only_mapping_is_an_access_error(m, init):
    text = init.mmap(m.page_size, prot="r")
    init.read(text.start)
    with pytest.raises(SegmentationFault) as caught:
        init.write(text.start)
    assert caught.value.reason == "ACCERR"


def test_nothing_may_be_done_without_permissions(m, init):
    guard = init.mmap(m.page_size, prot="none")
    for kind in "rwx":
        with pytest.raises(SegmentationFault) as caught:
            init.access([guard.start], kind)
        assert caught.value.reason == "ACCERR"


def test_execution_is_refused_where_the_mmu_can_refuse_it(m, init):
    heap = init.mmap(m.page_size)
    init.write(heap.start)
    if m.arch == "s390":
        init.access([heap.start], "x")
    else:
        with pytest.raises(SegmentationFault):
            init.access([heap.start], "x")


def test_a_stack_grows_down_to_the_page_that_is_touched(m, init):
    stack = init.mmap(4 * m.page_size, flags="private|anonymous|growsdown")
    low = stack.start - 3 * m.page_size
    init.write(low)
    assert init.vma_at(low).start <= low
    assert init.page_at(low).mapcount == 1


def test_memory_that_cannot_be_had_ends_the_access_and_leaves_nothing(arch):
    with Machine(arch=arch, memory="2M") as m:
        init = m.spawn("init")
        heap = init.mmap(4 << 20, flags="private|anonymous|noreserve")
        with pytest.raises(OutOfMemory):
            init.access([heap.start + i * m.page_size for i in range(1024)], "w")
        m.check()
        init.exit()
        m.check()


def test_the_zero_page_is_not_copied_into_the_rss_of_a_child(m, init):
    heap = init.mmap(2 * m.page_size)
    init.read(heap.start)
    init.write(heap.start + m.page_size)
    child = init.fork()
    assert child.rss["anon"] == 1
    assert child.read(heap.start) == 0


def test_the_zero_page_stays_read_only_through_a_change_to_no_access_and_back(m, init):
    heap = init.mmap(m.page_size)
    init.read(heap.start)
    init.mprotect(heap.start, m.page_size, "none")
    m.check()
    init.mprotect(heap.start, m.page_size, "rw")
    init.write(heap.start, 3)
    assert init.page_at(heap.start).mapcount == 1
