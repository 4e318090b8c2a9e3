# SPDX-License-Identifier: GPL-2.0-only
"""File mappings: loads, private and shared stores, the end of the file. Kernel: mm/memory.c (__do_fault), mm/filemap.c."""

import pytest

from rmapemu import Machine
from rmapemu.errors import BusError


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="16M", swap="32M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


@pytest.fixture
def file(m):
    return m.file(4 * m.page_size)


def test_a_load_that_finds_no_page_reads_it_and_is_major(m, init, file):
    area = init.mmap(4 * m.page_size, file=file)
    init.read(area.start)
    assert (init.maj_flt, init.min_flt, m.vmstat["pgmajfault"]) == (1, 0, 1)
    assert m.vmstat["pgpgin"] == m.page_size // 1024
    assert file.nrpages == 1
    page = file.page(0)
    assert (page.mapcount, page.count) == (1, 2)
    assert {"uptodate", "lru"} <= set(page.flags)
    assert "active" not in page.flags
    assert m.vmstat["nr_mapped"] == 1


def test_a_page_that_is_cached_is_a_minor_fault(m, init, file):
    file.read(0, m.page_size)
    area = init.mmap(4 * m.page_size, file=file)
    init.read(area.start)
    assert (init.maj_flt, init.min_flt) == (0, 1)


def test_a_private_store_copies_and_leaves_the_cached_page_unmapped(m, init, file):
    area = init.mmap(4 * m.page_size, file=file)
    init.write(area.start)
    assert init.rss == {"anon": 1, "file": 0, "swap": 0}
    assert (file.page(0).mapcount, file.page(0).count) == (0, 1)
    assert "dirty" not in file.page(0).flags


def test_a_shared_mapping_starts_read_only_so_that_the_first_store_is_seen(m, init, file):
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.read(area.start)
    assert not init.pte_at(area.start).write
    init.write(area.start, 6)
    assert init.pte_at(area.start).write
    assert "dirty" in file.page(0).flags
    assert m.vmstat["nr_dirty"] == 1
    assert m.vmstat["nr_dirtied"] == 1
    assert file.page(0).token == 6


def test_a_first_shared_store_dirties_at_once(m, init, file):
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.write(area.start)
    assert init.pte_at(area.start).write
    assert m.vmstat["nr_dirty"] == 1
    assert init.page_at(area.start) == file.page(0)
    assert file.page(0).count == 2


def test_writeback_cleans_the_entry_so_that_the_next_store_faults(m, init, file):
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.write(area.start, 6)
    assert file.msync() == 1
    assert "dirty" not in file.page(0).flags
    assert not init.pte_at(area.start).write
    assert (m.vmstat["nr_dirty"], m.vmstat["nr_written"]) == (0, 1)
    faults = m.vmstat["pgfault"]
    init.write(area.start)
    assert m.vmstat["pgfault"] == faults + 1
    assert m.vmstat["nr_dirty"] == 1


def test_an_access_past_the_end_of_the_file_is_a_bus_error(m, init, file):
    area = init.mmap(8 * m.page_size, file=file)
    init.read(area.start + 3 * m.page_size)
    for kind in "rw":
        with pytest.raises(BusError):
            init.access([area.start + 4 * m.page_size], kind)


def test_two_processes_see_each_others_shared_stores(m, init, file):
    other = m.spawn("other")
    mine = init.mmap(4 * m.page_size, file=file, flags="shared")
    theirs = other.mmap(4 * m.page_size, file=file, flags="shared")
    init.write(mine.start, 11)
    assert other.read(theirs.start) == 11
    assert file.page(0).mapcount == 2


def test_content_that_was_written_back_survives_the_page(m, init, file):
    file.write(0, m.page_size, 21)
    file.msync()
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.write(area.start + m.page_size, 22)
    init.munmap(area.start, 4 * m.page_size)
    assert file.msync() == 1
    hog = m.spawn("hog")
    big = hog.mmap(24 << 20)
    hog.access([big.start + i * m.page_size for i in range((24 << 20) // m.page_size)], "w")
    assert file.nrpages == 0
    hog.exit()
    area = init.mmap(4 * m.page_size, file=file)
    assert [init.read(area.start + i * m.page_size) for i in range(3)] == [21, 22, 0]


def test_a_write_grows_the_file_and_marks_its_pages(m, file):
    assert file.write(3 * m.page_size, 2 * m.page_size, 5) > 0
    assert file.size == 5 * m.page_size
    assert {"dirty", "uptodate", "referenced"} <= set(file.page(4).flags)
    file.write(4 * m.page_size, m.page_size, 5)
    assert "active" in file.page(4).flags


def test_a_partial_write_reads_what_it_leaves(m, file):
    file.write(100, 100, 5)
    assert m.vmstat["pgpgin"] == m.page_size // 1024
    file.write(m.page_size, m.page_size, 5)
    assert m.vmstat["pgpgin"] == m.page_size // 1024


def test_a_file_that_cannot_be_allocated_is_an_error_and_nothing_else(m):
    m.lab.fail_alloc(1)
    with pytest.raises(OSError, match="memory"):
        m.file(m.page_size)
    assert m.file(m.page_size).size == m.page_size
