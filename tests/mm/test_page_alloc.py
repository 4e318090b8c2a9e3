# SPDX-License-Identifier: GPL-2.0-only
"""Frames: watermarks, the buddy lists, what happens when there are none left."""

import math
import time

import numpy as np
import pytest

from rmapemu import Machine
from rmapemu.errors import OutOfMemory

PG_BUDDY = 1 << 25


def addresses(vma, pages, page_size):
    return vma.start + page_size * np.arange(pages, dtype=np.uint64)


@pytest.mark.parametrize("megabytes", [1, 16, 256, 4096])
def test_min_free_kbytes_is_four_times_the_root_of_lowmem(megabytes):
    with Machine(memory=megabytes << 20) as m:
        kbytes = (m.nr_frames - 2) * (m.page_size >> 10)
        assert m.sysctl.min_free_kbytes == min(max(math.isqrt(16 * kbytes), 128), 65536)


def test_a_machine_of_a_terabyte_starts_at_once_and_has_all_of_it_free():
    start = time.perf_counter()
    with Machine(memory="1T") as m:
        assert time.perf_counter() - start < 1
        assert m.vmstat["nr_free_pages"] == (1 << 28) - 2
        assert m.footprint() < 1 << 20


def test_a_fresh_machine_hands_out_ascending_frames(arch):
    with Machine(arch, memory="16M") as m:
        heap = m.spawn().mmap(64 * m.page_size)
        process = m.processes[0]
        process.access(addresses(heap, 64, m.page_size), "w")
        pfns = [process.page_at(int(a)).pfn for a in addresses(heap, 64, m.page_size)]
        # page tables take some in between
        assert pfns == sorted(pfns)


def test_the_frame_freed_last_is_given_first():
    with Machine(memory="16M") as m:
        init = m.spawn()
        a, b = init.mmap(m.page_size), init.mmap(8 * m.page_size)
        init.write(b.start)
        init.write(a.start)
        freed = init.page_at(a.start).pfn
        init.munmap(a.start, m.page_size)
        init.write(b.start + m.page_size)
        assert init.page_at(b.start + m.page_size).pfn == freed


def test_frames_in_use_are_those_allocated_and_not_freed(arch):
    with Machine(arch, memory="16M") as m:
        free = m.vmstat["nr_free_pages"]
        init = m.spawn()
        heap = init.mmap(500 * m.page_size)
        init.access(addresses(heap, 500, m.page_size), "w")
        v = m.vmstat
        assert v["nr_free_pages"] == free - (v["pgalloc_normal"] - v["pgfree"])
        init.exit()
        assert m.vmstat["nr_free_pages"] == free
        assert m.vmstat["pgalloc_normal"] == m.vmstat["pgfree"]


def test_free_buddies_have_merged_when_everything_is_back():
    with Machine(memory="16M") as m:
        init = m.spawn()
        heap = init.mmap(3000 * m.page_size)
        init.access(addresses(heap, 3000, m.page_size), "w")
        init.exit()
        heads = np.flatnonzero(m.mem_map["flags"] & PG_BUDDY)
        orders = [m.page(int(pfn)).private for pfn in heads]
        blocks = sorted(zip(heads.tolist(), orders, strict=True))
        # no two free blocks are each other's buddy
        assert not {(pfn ^ (1 << order), order) for pfn, order in blocks if order < 10} & set(blocks)


def test_without_swap_memory_runs_out_and_comes_back_with_the_process(arch):
    with Machine(arch, memory="4M") as m:
        m.sysctl.overcommit_memory = 1
        free = m.vmstat["nr_free_pages"]
        hog = m.spawn()
        heap = hog.mmap("16M")
        with pytest.raises(OutOfMemory) as error:
            hog.access(addresses(heap, 4096, m.page_size), "w")
        assert "free" in str(error.value)
        assert 0 < error.value.completed < 1024
        hog.exit()
        assert m.vmstat["nr_free_pages"] == free
        m.check()


def test_an_allocation_that_may_sleep_stops_at_the_min_watermark():
    with Machine(memory="4M") as m:
        m.sysctl.overcommit_memory = 1
        hog = m.spawn()
        heap = hog.mmap("16M")
        with pytest.raises(OutOfMemory):
            hog.access(addresses(heap, 4096, m.page_size), "w")
        kbytes = m.vmstat["nr_free_pages"] * (m.page_size >> 10)
        assert m.sysctl.min_free_kbytes <= kbytes <= m.sysctl.min_free_kbytes + 3 * (m.page_size >> 10)


def test_frames_bounds_the_pages_of_the_trace_alone():
    with Machine(frames=10, swap="1M") as m:
        init = m.spawn()
        heap = init.mmap(40 * m.page_size)
        init.access(addresses(heap, 40, m.page_size), "w")
        v = m.vmstat
        assert v["nr_anon_pages"] == 10
        assert v["pgfault"] == 40
        assert v["pgsteal_normal"] == 30
        m.check()
