# SPDX-License-Identifier: GPL-2.0-only
"""Cutting a file under its mappings. Kernel: mm/truncate.c, mm/memory.c (unmap_mapping_range)."""

import pytest

from rmapemu import Machine
from rmapemu.errors import BusError


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


@pytest.fixture(params=["regular", "shmem"])
def file(request, m):
    f = m.file(8 * m.page_size, kind=request.param)
    f.write(0, 8 * m.page_size, 4)
    return f


def test_mapped_pages_behind_the_end_are_unmapped_and_dropped(m, init, file):
    area = init.mmap(8 * m.page_size, file=file, flags="shared")
    init.access([area.start + i * m.page_size for i in range(8)], "w")
    file.truncate(3 * m.page_size)
    assert file.nrpages == 3
    assert init.rss["file"] == 3
    init.read(area.start + 2 * m.page_size)
    with pytest.raises(BusError):
        init.read(area.start + 3 * m.page_size)


def test_private_copies_behind_the_end_go_too(m, init, file):
    area = init.mmap(8 * m.page_size, file=file)
    init.access([area.start + i * m.page_size for i in range(8)], "w")
    file.truncate(3 * m.page_size)
    assert init.rss["anon"] == 3
    with pytest.raises(BusError):
        init.read(area.start + 4 * m.page_size)


def test_dirty_pages_are_forgotten_not_written(m, file):
    dirty = m.vmstat["nr_dirty"]
    assert dirty == (8 if file.kind == "regular" else 0)
    file.truncate(0)
    assert m.vmstat["nr_dirty"] == 0
    assert m.vmstat["nr_written"] == 0
    assert m.vmstat["nr_file_pages"] == 0


def test_the_page_with_the_new_end_stays(m, file):
    file.truncate(3 * m.page_size + 100)
    assert file.nrpages == 4


def test_a_file_that_grows_again_has_zeros_where_it_was_cut(m, init, file):
    file.truncate(m.page_size)
    file.truncate(8 * m.page_size)
    area = init.mmap(8 * m.page_size, file=file, flags="shared")
    assert [init.read(area.start + i * m.page_size) for i in range(3)] == [4, 0, 0]


def test_only_the_mapped_window_is_touched(m, init, file):
    low = init.mmap(2 * m.page_size, file=file, flags="shared")
    high = init.mmap(4 * m.page_size, file=file, flags="shared", offset=4 * m.page_size)
    init.access([low.start, low.start + m.page_size], "r")
    init.access([high.start + i * m.page_size for i in range(4)], "r")
    file.truncate(6 * m.page_size)
    assert init.rss["file"] == 4
    init.read(high.start + m.page_size)
    with pytest.raises(BusError):
        init.read(high.start + 2 * m.page_size)
