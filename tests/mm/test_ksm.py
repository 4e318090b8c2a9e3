# SPDX-License-Identifier: GPL-2.0-only
"""KSM pages, found over the rmap_items of their stable node: first where they were merged, then in forks made since."""

import pytest

from rmapemu import TTU, Machine, Swap, VmFlag
from support.lab import RW, START, anon_vma, forked, locked


def merged(m, *vmas):
    """A locked KSM page mapped first in each of the VMAs, merged there in this order: (page, node)."""
    page = m.lab.page()
    node = m.lab.stable_node(page)
    for vma in vmas:
        m.lab.rmap_item(node, vma.process, vma.vm_start, vma.anon_vma)
        enter(m, page, vma)
    return locked(m, page), node


def enter(m, page, vma):
    m.lab.set_pte(vma.process, vma.vm_start, page, young=True)
    m.lab.get_page(page)
    m.rmap.page_dup_rmap(page)


def places(m, page):
    seen = []
    m.rmap.rmap_walk(page, lambda page, vma, address: seen.append(vma.serial))
    return seen


def test_the_place_merged_last_is_visited_first_and_forks_after_all_of_them(m):
    first, second = anon_vma(m), anon_vma(m)
    page, _node = merged(m, first, second)
    child = forked(m, first)
    assert places(m, page) == [second.serial, first.serial, child.serial]


def test_forks_are_not_visited_when_the_places_account_for_every_mapping():
    with Machine("x86_64", "16M", swap="1M") as m:
        vma = anon_vma(m)
        page, _node = merged(m, vma)
        forked(m, vma)
        with m.measure() as cost:
            assert m.rmap.page_referenced(page, True) == (1, RW)
        assert cost.vmas_visited == 1


def test_a_fork_that_maps_the_page_is_found_in_the_second_round():
    with Machine("x86_64", "16M", swap="1M") as m:
        vma = anon_vma(m)
        page, _node = merged(m, vma)
        child = forked(m, vma)
        enter(m, page, child)
        m.lab.set_pte(vma.process, START, page, young=False)
        assert m.rmap.page_referenced(page, True) == (1, RW)
        assert not m.lab.get_pte(child.process, START).young


def test_a_locked_mapping_ends_the_walk(m, lab, rmap):
    vma = anon_vma(m, flags=RW | VmFlag.LOCKED)
    page, _node = merged(m, anon_vma(m), vma)
    with m.measure() as cost:
        assert rmap.page_referenced(page, True)[1] == VmFlag.LOCKED
    assert cost.vmas_visited == 1


def test_unmapping_into_swap_takes_every_place_and_fork(m, lab, rmap):
    vma = anon_vma(m)
    page, _node = merged(m, vma, anon_vma(m))
    child = forked(m, vma)
    enter(m, page, child)
    lab.swapcache(page, 0, 4)
    assert rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert page.mapcount == 0 and lab.swap_count(0, 4) == 3
    assert lab.get_pte(child.process, START).kind == "swap"


def test_a_page_that_nobody_maps_is_given_up_behind_the_first_item(m, lab, rmap):
    page, _node = merged(m, anon_vma(m), anon_vma(m), anon_vma(m))
    lab.mapcount(page, 0)
    with m.measure() as cost:
        assert rmap.page_referenced_ksm(page, 1) == (0, 0)
    assert cost.vmas_visited == 1


def test_a_page_without_its_node_cannot_be_unmapped(m, lab, rmap):
    vma = anon_vma(m)
    page, node = merged(m)
    enter(m, page, vma)
    lab.stable_node_remove(node)
    assert rmap.try_to_unmap(page) is Swap.FAIL
    assert rmap.page_referenced(page, True) == (0, 0) and places(m, page) == []


def test_what_is_no_ksm_page_cannot_be_unmapped_as_one(arch):
    with Machine(arch, "16M", config={"debug_vm": False}) as m:
        page = locked(m, m.lab.page())
        assert m.rmap.try_to_unmap_ksm(page) is Swap.FAIL


@pytest.mark.parametrize("group", [1, 2])
def test_a_group_asks_only_its_own_places(group):
    with Machine("x86_64", "16M", swap="1M") as m:
        vmas = [anon_vma(m), anon_vma(m)]
        page, _node = merged(m, *vmas)
        m.lab.memcg(vmas[0].process, 1)
        assert m.rmap.page_referenced(page, True, group)[0] == (group == 1)
