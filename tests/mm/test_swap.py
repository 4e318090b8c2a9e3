# SPDX-License-Identifier: GPL-2.0-only
"""Swap areas, their slots, and the swap cache."""

import numpy as np
import pytest

from rmapemu import Machine


@pytest.fixture
def small(arch):
    """A machine whose memory is a quarter of what the tests touch."""
    with Machine(arch, memory="2M", swap="8M") as m:
        yield m


def fill(process, pages, tokens=True):
    m = process.machine
    heap = process.mmap(pages * m.page_size)
    for i in range(pages):
        process.write(heap.start + i * m.page_size, 1000 + i if tokens else None)
    return heap


def test_what_was_swapped_out_comes_back(small):
    init = small.spawn()
    heap = fill(init, 1500)
    assert small.vmstat["pswpout"] > 1000
    assert [init.read(heap.start + i * small.page_size) for i in range(1500)] == list(range(1000, 2500))
    assert small.vmstat["pswpin"] > 1000
    small.check()


def test_every_slot_is_free_again_when_its_users_are_gone(small):
    init = small.spawn()
    fill(init, 1500)
    assert small.meminfo()["SwapFree"] < small.meminfo()["SwapTotal"]
    init.exit()
    assert small.meminfo()["SwapFree"] == small.meminfo()["SwapTotal"]
    small.check()


def test_a_forked_process_shares_slots_until_it_writes(small):
    init = small.spawn()
    heap = fill(init, 800)
    child = init.fork()
    for i in range(0, 800, 7):
        child.write(heap.start + i * small.page_size, 5)
    assert [init.read(heap.start + i * small.page_size) for i in range(800)] == list(range(1000, 1800))
    expected = [5 if i % 7 == 0 else 1000 + i for i in range(800)]
    assert [child.read(heap.start + i * small.page_size) for i in range(800)] == expected
    small.check()


def test_a_clean_swap_cache_page_is_dropped_without_writing_it_again(small):
    small.sysctl["page-cluster"] = 0
    init = small.spawn()
    heap = fill(init, 900)
    addresses = heap.start + small.page_size * np.arange(900, dtype=np.uint64)
    init.access(addresses, "r")
    before = small.vmstat
    init.access(addresses, "r")
    after = small.vmstat
    assert after["pswpin"] - before["pswpin"] >= 800
    # swap is not half full, so that slots stay with their pages
    assert after["pswpout"] - before["pswpout"] < 100


def test_readahead_reads_the_slots_around_the_one_wanted(arch):
    read = {}
    for cluster in (0, 3):
        with Machine(arch, memory="2M", swap="8M", config={"swap_readahead": True}) as m:
            m.sysctl["page-cluster"] = cluster
            init = m.spawn()
            heap = fill(init, 1500)
            before = m.vmstat
            init.access(heap.start + m.page_size * np.arange(200, dtype=np.uint64), "r")
            after = m.vmstat
            read[cluster] = after["pgmajfault"] - before["pgmajfault"]
            assert after["pswpin"] > before["pswpin"]
            m.check()
    assert read[3] * 3 < read[0]


def test_areas_of_one_priority_take_turns_and_a_lower_one_waits():
    with Machine(memory="2M") as m:
        m.swapon("1M", 5)
        m.swapon("1M", 5)
        m.swapon("4M", 1)
        init = m.spawn()
        heap = fill(init, 600, tokens=False)
        used = [0, 0, 0]
        for i in range(600):
            entry = init.pte_at(heap.start + i * m.page_size)
            if entry.kind == "swap":
                used[entry.swap_type] += 1
        assert abs(used[0] - used[1]) <= 1
        assert used[0] > 0
        assert used[2] == 0


def test_more_than_62_users_of_one_slot_are_counted_on():
    with Machine(memory="4M", swap="4M") as m:
        init = m.spawn()
        heap = init.mmap(m.page_size)
        init.write(heap.start, 77)
        children = [init.fork() for _ in range(150)]
        hog = m.spawn()
        fill(hog, 1200, tokens=False)
        hog.exit()
        assert init.page_at(heap.start) is None
        more = [children[0].fork() for _ in range(20)]
        m.check()
        assert all(p.read(heap.start) == 77 for p in (*children[::10], *more, init))
        for p in (*children, *more, init):
            p.exit()
        assert m.meminfo()["SwapFree"] == m.meminfo()["SwapTotal"]
        m.check()


def test_the_zone_counters_of_swap_traffic_agree(small):
    init = small.spawn()
    fill(init, 1500)
    v = small.vmstat
    assert v["pswpout"] == v["nr_written"] == v["nr_vmscan_write"]
    assert v["pgpgout"] == v["pswpout"] * (small.page_size >> 10)
    assert v["pgpgin"] == v["pswpin"] * (small.page_size >> 10)
