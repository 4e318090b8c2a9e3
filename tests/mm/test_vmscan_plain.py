# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmscan_plain, mm/swapin_plain and mm/rmap_batch take short ways; nothing that can be seen tells them from the general ones."""

import numpy as np
import pytest

from rmapemu import KernelBug, Machine, OutOfMemory, PageFlag
from tests.support.plain import both_ways, crowd, squeezed_both_ways


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


def in_a_slot_that_does_not_exist(m, init, page, va):
    m.lab.swapcache(page, 0, 5)
    m.lab.private(page, 0x7ffffff)
    yield
    # it was unmapped, and then found to have no user
    assert init.pte_at(va).kind == "swap" and "swapcache" not in page.flags


def in_a_slot_whose_count_is_full(m, init, page, va):
    m.lab.swapcache(page, 0, 5)
    m.lab.swap_count(0, 5, 0x3e)
    yield
    assert m.lab.swap_count(0, 5) == 0x3f
    m.lab.swap_count(0, 5, 1)


def in_the_swap_cache_and_clean_but_for_its_entry(m, init, page, va):
    m.lab.swapcache(page, 0, 5)
    m.lab.flags(page, clear=PageFlag.dirty)
    yield
    assert init.pte_at(va).offset == 5


def with_no_slot_to_be_had(m, init, page, va):
    m.lab.swap_writeok(0, False)
    yield
    assert init.page_at(va) == page


def on_the_wrong_list(m, init, page, va):
    m.lab.flags(page, set=PageFlag.active)
    m.lab.set_pte(init, va, page, write=True, dirty=True, young=True)
    yield


@pytest.mark.parametrize("odd", [
    in_a_slot_whose_count_is_full, in_the_swap_cache_and_clean_but_for_its_entry])
def test_a_page_that_is_not_as_nearly_all_are_goes_the_general_way(arch, odd):
    short, general = squeezed_both_ways(arch, odd)
    assert short == general


def test_a_page_for_which_no_slot_is_found_though_some_are_free_is_activated_either_way(arch):
    short, general = squeezed_both_ways(arch, with_no_slot_to_be_had, fits=False)
    assert short == general and short["vmstat"]["pgactivate"] > 0


def test_a_page_in_a_slot_that_does_not_exist_is_lost_either_way(arch):
    short, general = squeezed_both_ways(arch, in_a_slot_that_does_not_exist, consistent=False)
    assert short == general


def test_an_active_page_on_an_inactive_list_is_a_bug(arch):
    with pytest.raises(KernelBug, match=r"PageActive\(page\) in shrink_page_list"):
        squeezed_both_ways(arch, on_the_wrong_list)


def test_a_slot_that_the_cache_does_not_have_is_a_bug_the_short_way_too(arch):
    begun = []

    def in_another_ones_slot(m, init, page, va):
        begun.append(page)
        m.lab.swapcache(page, 0, 5)
        m.lab.swap_count(0, 6, 1)
        m.lab.private(page, (0, 6))
        yield

    with pytest.raises(KernelBug, match="!has_cache in swap_entry_free"):
        squeezed_both_ways(arch, in_another_ones_slot)
    # the short way comes first
    assert len(begun) == 1


def no_such_slot(arch):
    """The entry of a slot beyond the end of a small area."""
    with Machine(arch, "4M", swap="64M") as large:
        return large.lab.set_pte(large.lab.mm(), 0x200000, swap=(0, 16000)).raw


@pytest.mark.parametrize("entry", ["beyond the area's end", "of a slot that is free"])
def test_a_swap_entry_that_leads_nowhere_is_out_of_memory_either_way(arch, entry):
    def work(m):
        m.sysctl["page-cluster"] = 0
        init = m.spawn("init")
        va = init.mmap(4 * m.page_size).start
        init.write(va + m.page_size)
        m.lab.set_pte(init, va, **({"raw": no_such_slot(arch)} if "end" in entry else {"swap": (0, 7)}))
        with pytest.raises(OutOfMemory):
            init.read(va)
        m.lab.set_pte(init, va)

    short, general = both_ways(arch, work, memory="4M", swap="1M")
    assert short == general
