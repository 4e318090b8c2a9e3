# SPDX-License-Identifier: GPL-2.0-only
"""Unmapping: counters, flushes, dirty and young bits on their way out, page tables. Kernel: mm/memory.c (unmap_vmas, free_pgtables)."""

import pytest

from rmapemu import Machine


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="32M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def test_unmapping_frees_the_pages_and_their_tables(m, init):
    free = m.vmstat["nr_free_pages"]
    area = init.mmap(4 << 20)
    init.access([area.start + i * m.page_size for i in range((4 << 20) // m.page_size)], "w")
    assert init.nr_ptes >= 2
    init.munmap(area.start, 4 << 20)
    assert init.nr_ptes == 0
    assert init.rss == {"anon": 0, "file": 0, "swap": 0}
    assert m.vmstat["nr_anon_pages"] == 0
    assert free - m.vmstat["nr_free_pages"] <= 2  # tables above the leaves may stay


def test_unmapping_flushes_the_tlb_once(m, init):
    area = init.mmap(4 << 20)
    init.access([area.start + i * m.page_size for i in range((4 << 20) // m.page_size)], "w")
    with m.measure() as cost:
        init.munmap(area.start, 4 << 20)
    assert cost.tlb_flush_mm == 1


def test_unmapping_what_was_never_touched_flushes_nothing(m, init):
    area = init.mmap(4 << 20)
    with m.measure() as cost:
        init.munmap(area.start, 4 << 20)
    assert cost.tlb_flush_mm == 0
    assert cost.ptes_written == 0


def test_the_middle_goes_and_both_ends_stay(m, init):
    area = init.mmap(3 * m.page_size)
    for i in range(3):
        init.write(area.start + i * m.page_size, i + 1)
    init.munmap(area.start + m.page_size, m.page_size)
    assert init.read(area.start) == 1
    assert init.read(area.start + 2 * m.page_size) == 3
    assert init.rss["anon"] == 2


def test_the_peak_is_recorded_when_rss_drops(m, init):
    area = init.mmap(8 * m.page_size)
    init.access([area.start + i * m.page_size for i in range(8)], "w")
    assert init.hiwater_rss == 0
    init.munmap(area.start, 8 * m.page_size)
    assert init.hiwater_rss == 8


def test_a_file_page_that_was_used_is_marked_accessed(m, init):
    file = m.file(m.page_size)
    area = init.mmap(m.page_size, file=file)
    init.read(area.start)
    assert "referenced" not in file.page(0).flags
    init.munmap(area.start, m.page_size)
    # on s390 the mapping does not tell: the storage key belongs to the page
    assert ("referenced" in file.page(0).flags) == (m.arch == "x86_64")


def test_a_store_through_a_mapping_that_is_gone_is_still_dirty(m, init):
    file = m.file(m.page_size)
    area = init.mmap(m.page_size, file=file, flags="shared")
    init.write(area.start, 8)
    init.munmap(area.start, m.page_size)
    assert "dirty" in file.page(0).flags
    assert file.msync() == 1


def test_a_shared_page_loses_one_mapping(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start)
    child = init.fork()
    page = init.page_at(area.start)
    child.munmap(area.start, m.page_size)
    assert (page.mapcount, page.count) == (1, 1)


def test_a_huge_hole_costs_nothing_to_unmap(m, init):
    area = init.mmap(1 << 40, flags="private|anonymous|noreserve")
    init.write(area.start)
    init.write(area.start + (1 << 40) - m.page_size)
    init.munmap(area.start, 1 << 40)
    assert init.nr_ptes == 0
    assert m.vmstat["nr_anon_pages"] == 0


def test_exit_returns_every_frame(m, init):
    free = m.vmstat["nr_free_pages"]
    child = m.spawn("child")
    area = child.mmap(2 << 20)
    child.access([area.start + i * m.page_size for i in range(512)], "w")
    child.exit()
    assert m.vmstat["nr_free_pages"] == free
    assert m.vmstat["nr_page_table_pages"] <= 4
