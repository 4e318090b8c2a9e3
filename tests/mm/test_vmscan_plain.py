# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmscan_plain, mm/swapin_plain and mm/rmap_batch take short ways; nothing that can be seen tells them from the general ones."""

import numpy as np
import pytest

from tests.support.plain import both_ways, crowd


@pytest.fixture(params=["x86_64", "s390"])
def arch(request):
    return request.param


@pytest.mark.parametrize("seed", range(6))
def test_a_crowd_in_too_little_memory_leaves_the_same_state_and_costs_either_way(arch, seed):
    short, general = both_ways(arch, crowd(seed, processes=5, pages=160, rounds=24), memory="1M", swap="8M")
    assert short["vmstat"]["pswpout"] > 0
    assert short == general


@pytest.mark.parametrize("seed", range(3))
def test_slots_given_back_early_as_swap_fills_up_are_given_back_either_way(arch, seed):
    short, general = both_ways(arch, crowd(seed, processes=2, pages=400, rounds=20), memory="1M", swap="1800K")
    assert short["vmstat"]["pswpin"] > 0
    assert short == general


def test_one_process_alone_swaps_the_same_either_way(arch):
    def work(m):
        m.sysctl["page-cluster"] = 0
        init = m.spawn("init")
        area = init.mmap(1200 * m.page_size)
        va = np.uint64(area.start) + np.arange(1200, dtype=np.uint64) * np.uint64(m.page_size)
        g = np.random.default_rng(5)
        for share in (1.0, 0.0, 0.3):
            init.access(g.choice(va, 6000), g.random(6000) < share)

    short, general = both_ways(arch, work, memory="2M", swap="16M")
    assert short["vmstat"]["pgactivate"] > 0
    assert short["vmstat"]["pgmajfault"] > 100
    assert short == general


def test_readahead_leaves_swap_in_to_the_general_way(arch):
    def work(m):
        init = m.spawn("init")
        area = init.mmap(600 * m.page_size)
        va = np.uint64(area.start) + np.arange(600, dtype=np.uint64) * np.uint64(m.page_size)
        init.access(va, "w")
        init.access(va[::-1].copy(), "r")

    short, general = both_ways(arch, work, memory="1M", swap="16M")
    assert short == general
