# SPDX-License-Identifier: GPL-2.0-only
"""Reclaim: which pages stay and which go."""

import numpy as np
import pytest

from rmapemu import Machine
from rmapemu.errors import OutOfMemory


@pytest.fixture
def m(arch):
    with Machine(arch, memory="4M", swap="16M") as machine:
        yield machine


def pages_of(vma, m, first=0, last=None):
    last = (vma.end - vma.start) // m.page_size if last is None else last
    return vma.start + m.page_size * np.arange(first, last, dtype=np.uint64)


def resident(process, addresses):
    return sum(process.page_at(int(a)) is not None for a in addresses)


def test_kswapd_brings_the_zone_from_below_the_low_to_the_high_watermark(m):
    init = m.spawn()
    heap = init.mmap("12M")
    for address in pages_of(heap, m, 0, 2000):
        woken = m.vmstat["pageoutrun"]
        init.write(int(address))
        if m.vmstat["pageoutrun"] != woken:
            kbytes = (m.vmstat["nr_free_pages"] + 8) * (m.page_size >> 10)
            assert kbytes >= m.sysctl.min_free_kbytes * 3 // 2
    v = m.vmstat
    assert v["pageoutrun"] > 3
    assert v["allocstall"] == 0
    assert v["kswapd_steal"] == v["pgsteal_normal"]
    m.check()


def test_pages_in_use_survive_a_stream_of_pages_used_once(m):
    init = m.spawn()
    hot, stream = init.mmap(200 * m.page_size), init.mmap("12M")
    hot_pages = pages_of(hot, m)
    for chunk in np.split(pages_of(stream, m), 96):
        init.access(hot_pages, "w")
        init.access(chunk, "w")
    assert resident(init, hot_pages) > 150
    m.check()


def test_an_anonymous_page_found_young_is_activated_not_evicted(m):
    init = m.spawn()
    heap = init.mmap("12M")
    init.access(pages_of(heap, m), "w")
    assert m.vmstat["pgactivate"] == 0
    # the oldest of those that stayed are at the inactive list's tail
    stayed = [a for a in pages_of(heap, m) if init.page_at(int(a)) is not None]
    init.access(np.array(stayed, dtype=np.uint64), "r")
    init.access(pages_of(heap, m, 0, 200), "w")
    v = m.vmstat
    assert v["pgactivate"] > 100
    assert v["pgdeactivate"] > 0
    assert v["pgscan_kswapd_normal"] + v["pgscan_direct_normal"] >= v["pgsteal_normal"]


def test_clean_file_pages_go_before_anonymous_ones(m):
    init = m.spawn()
    heap = init.mmap(400 * m.page_size)
    init.access(pages_of(heap, m), "w")
    file = m.file("16M")
    view = init.mmap("16M", prot="r", flags="shared", file=file)
    init.access(pages_of(view, m), "r")
    v = m.vmstat
    assert v["pgsteal_normal"] > 3000
    assert v["pswpout"] < v["pgsteal_normal"] / 10
    m.check()


def test_dirty_file_pages_wait_for_kswapd_under_pressure():
    with Machine(memory="4M") as m:
        init = m.spawn()
        file = m.file("16M")
        view = init.mmap("16M", flags="shared", file=file)
        init.access(pages_of(view, m), "w")
        v = m.vmstat
        assert v["nr_vmscan_immediate_reclaim"] > 0
        assert v["nr_vmscan_write"] > 0
        assert v["pgpgout"] > 0
        m.check()


def test_without_swap_anonymous_pages_are_not_even_scanned():
    with Machine(memory="4M") as m:
        m.sysctl.overcommit_memory = 1
        init = m.spawn()
        heap = init.mmap("16M")
        with pytest.raises(OutOfMemory):
            init.access(pages_of(heap, m), "w")
        v = m.vmstat
        assert v["pgscan_kswapd_normal"] == v["pgscan_direct_normal"] == 0
        assert v["allocstall"] > 0


def test_out_of_swap_ends_in_out_of_memory_and_not_in_a_loop(arch):
    with Machine(arch, memory="2M", swap="1M") as m:
        m.sysctl.overcommit_memory = 1
        init = m.spawn()
        heap = init.mmap("16M")
        with pytest.raises(OutOfMemory) as error:
            init.access(pages_of(heap, m), "w")
        assert m.meminfo()["SwapFree"] == 0
        assert error.value.completed > 400
        m.check()
        init.exit()
        assert m.meminfo()["SwapFree"] == m.meminfo()["SwapTotal"]
        m.check()


def test_mlocked_pages_are_never_evicted_and_are_rescued_by_munlock(m):
    init = m.spawn()
    locked, heap = init.mmap(100 * m.page_size), init.mmap("12M")
    init.access(pages_of(locked, m), "w")
    init.mlock(locked.start, 100 * m.page_size)
    init.access(pages_of(heap, m), "w")
    assert resident(init, pages_of(locked, m)) == 100
    assert m.vmstat["nr_unevictable"] == m.vmstat["nr_mlock"] == 100
    m.check()
    init.munlock(locked.start, 100 * m.page_size)
    assert m.vmstat["nr_mlock"] == 0
    assert m.vmstat["unevictable_pgs_rescued"] == 100
    init.access(pages_of(heap, m), "w")
    assert resident(init, pages_of(locked, m)) < 100
    m.check()


def test_a_lower_swappiness_spares_anonymous_pages(arch):
    swapped = {}
    for swappiness in (0, 100):
        with Machine(arch, memory="8M", swap="16M") as m:
            m.sysctl.swappiness = swappiness
            init = m.spawn()
            heap, file = init.mmap(1200 * m.page_size), m.file("16M")
            view = init.mmap("16M", prot="r", flags="shared", file=file)
            init.access(pages_of(heap, m), "w")
            for _ in range(3):
                init.access(pages_of(view, m), "r")
            swapped[swappiness] = m.vmstat["pswpout"]
    assert swapped[0] < swapped[100]


def test_the_same_accesses_end_in_the_same_state(arch):
    def run():
        with Machine(arch, memory="2M", swap="16M") as m:
            init = m.spawn()
            heap = init.mmap("8M")
            rng = np.random.default_rng(5)
            init.access(
                heap.start + m.page_size * rng.integers(0, 2048, 20000).astype(np.uint64), rng.integers(0, 2, 20000).astype(np.uint8)
            )
            return m.vmstat, m.cost.as_dict(), m.mem_map.tobytes()

    assert run() == run()
