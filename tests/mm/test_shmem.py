# SPDX-License-Identifier: GPL-2.0-only
"""Shared memory: file pages on the anon lists, which swap out of the page cache. Kernel: mm/shmem.c."""

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


def press(m, mbytes=20):
    """Lets another process use more memory than there is, and go."""
    hog = m.spawn("hog")
    area = hog.mmap(mbytes << 20)
    hog.access([area.start + i * m.page_size for i in range((mbytes << 20) // m.page_size)], "w")
    hog.exit()


def test_a_new_page_is_swap_backed_but_not_anonymous(m, init):
    area = init.mmap(4 * m.page_size, flags="shared|anonymous")
    init.write(area.start, 3)
    page = init.page_at(area.start)
    assert {"swapbacked", "uptodate", "dirty"} <= set(page.flags)
    assert page.anon_vma is None
    assert page.lru == "inactive_anon"
    assert (page.mapcount, page.count) == (1, 2)
    assert init.rss == {"file": 1, "anon": 0, "swap": 0}
    assert (m.vmstat["nr_shmem"], m.vmstat["nr_file_pages"], m.vmstat["nr_dirty"]) == (1, 1, 0)


def test_a_fork_shares_the_page_writable(m, init):
    area = init.mmap(4 * m.page_size, flags="shared|anonymous")
    init.write(area.start, 3)
    child = init.fork()
    assert child.read(area.start) == 3
    child.write(area.start, 4)
    assert init.read(area.start) == 4
    assert init.page_at(area.start) == child.page_at(area.start)


def test_pressure_moves_pages_to_swap_and_a_fault_brings_them_back(m, init):
    area = init.mmap(64 * m.page_size, flags="shared|anonymous")
    for i in range(64):
        init.write(area.start + i * m.page_size, i + 1)
    press(m)
    assert m.vmstat["nr_shmem"] < 64
    majors = init.maj_flt
    assert [init.read(area.start + i * m.page_size) for i in range(64)] == list(range(1, 65))
    assert init.maj_flt > majors
    assert m.vmstat["nr_shmem"] == 64


def test_a_file_counts_its_swapped_pages(m):
    file = m.file(64 * m.page_size, kind="shmem")
    file.write(0, 64 * m.page_size, 9)
    assert file.nrpages == 64
    press(m)
    assert file.nrpages + file.swapped == 64
    assert file.swapped > 0


def test_truncation_frees_pages_and_slots(m):
    file = m.file(64 * m.page_size, kind="shmem")
    file.write(0, 64 * m.page_size, 9)
    press(m)
    file.truncate(m.page_size)
    assert file.nrpages + file.swapped == 1
    file.truncate(0)
    assert (file.nrpages, file.swapped, m.vmstat["nr_shmem"]) == (0, 0, 0)
    assert m.meminfo()["SwapFree"] == m.meminfo()["SwapTotal"]


def test_a_hole_reads_as_zeros_without_a_page(m):
    file = m.file(4 * m.page_size, kind="shmem")
    file.read(0, 4 * m.page_size)
    assert file.nrpages == 0


def test_past_the_end_is_a_bus_error(m, init):
    file = m.file(2 * m.page_size, kind="shmem")
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.write(area.start + m.page_size)
    with pytest.raises(BusError):
        init.write(area.start + 2 * m.page_size)


def test_a_closed_file_lives_until_it_is_unmapped(m, init):
    file = m.file(2 * m.page_size, kind="shmem")
    area = init.mmap(2 * m.page_size, file=file, flags="shared")
    init.write(area.start)
    file.close()
    assert m.vmstat["nr_shmem"] == 1
    init.munmap(area.start, 2 * m.page_size)
    assert m.vmstat["nr_shmem"] == 0
