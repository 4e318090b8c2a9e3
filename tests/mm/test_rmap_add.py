# SPDX-License-Identifier: GPL-2.0-only
"""Adding and removing a mapping: mapcount, mapping, index, and what the first and the last one count."""

import pytest

from rmapemu import KernelBug, Machine, PageFlag, VmFlag
from support.lab import RW, SHARED, START, anon_vma, forked, locked, map_anon, map_file


def test_the_first_mapping_counts_the_page_and_the_last_uncounts_it(m, lab, rmap):
    vma = lab.vma(lab.mm(), START, 4, SHARED, 0, lab.file(4))
    page = lab.file_page(vma.file, 1)
    for _ in range(3):
        rmap.page_add_file_rmap(page)
    assert (page.mapcount, m.vmstat["nr_mapped"]) == (3, 1)
    for _ in range(3):
        rmap.page_remove_rmap(page)
    assert (page.mapcount, m.vmstat["nr_mapped"]) == (0, 0)


def test_a_new_page_belongs_to_its_vma_alone_and_begins_active(m, lab, rmap):
    child = forked(m, anon_vma(m))
    page = map_anon(m, child, START + m.page_size)
    assert (page.anon_vma, page.index) == (child.anon_vma, child.vm_pgoff + 1)
    assert page.lru == "active_anon" and m.vmstat["nr_anon_pages"] == 1


def test_a_new_page_of_a_locked_vma_is_born_unevictable(m, lab, rmap):
    page = map_anon(m, anon_vma(m, flags=RW | VmFlag.LOCKED), START)
    assert page.lru == "unevictable" and page.flag_bits & PageFlag.mlocked
    assert (m.vmstat["nr_mlock"], m.vmstat["unevictable_pgs_mlocked"]) == (1, 1)


def test_a_new_page_that_is_on_a_list_already_is_a_bug(m, lab, rmap):
    vma, page = anon_vma(m), lab.page()
    lab.lru(page, "inactive_anon")
    with pytest.raises(KernelBug, match=r"PageLRU\(page\) in is_mlocked_vma"):
        rmap.page_add_new_anon_rmap(page, vma, START)


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_page_swapped_in_belongs_to_the_root_unless_it_is_exclusive(m, lab, rmap, exclusive):
    parent = anon_vma(m)
    child, page = forked(m, parent), locked(m, lab.page())
    rmap.do_page_add_anon_rmap(page, child, START, exclusive)
    assert page.anon_vma == (child if exclusive else parent).anon_vma


def test_a_second_mapping_leaves_the_anon_vma_as_it_was(m, lab, rmap):
    parent = anon_vma(m)
    child = forked(m, parent)
    page = locked(m, map_anon(m, parent, START))
    rmap.do_page_add_anon_rmap(page, child, START, True)
    assert (page.mapcount, page.anon_vma) == (2, parent.anon_vma)


def test_a_second_mapping_elsewhere_is_a_bug_where_vm_is_debugged(m, lab, rmap, arch):
    vma = anon_vma(m)
    page = locked(m, map_anon(m, vma, START))
    with pytest.raises(KernelBug, match="linear_page_index") as caught:
        rmap.page_add_anon_rmap(page, vma, START + m.page_size)
    assert caught.value.function == "__page_check_anon_rmap"
    with Machine(arch, "16M", config={"debug_vm": False}) as fast:
        vma = anon_vma(fast)
        page = map_anon(fast, vma, START)
        fast.rmap.page_add_anon_rmap(page, vma, START + fast.page_size)
        assert page.mapcount == 2


def test_an_exclusive_page_moves_to_its_vmas_own_anon_vma(m, lab, rmap):
    parent = anon_vma(m)
    child = forked(m, parent)
    page = locked(m, map_anon(m, parent, START))
    rmap.page_move_anon_rmap(page, child, START)
    assert page.anon_vma == child.anon_vma and page.mapcount == 1


def test_moving_wants_a_locked_page_and_its_own_place(m, lab, rmap):
    vma = anon_vma(m)
    page = map_anon(m, vma, START)
    with pytest.raises(KernelBug, match="PageLocked"):
        rmap.page_move_anon_rmap(page, vma, START)
    lab.revive()
    with pytest.raises(KernelBug, match="linear_page_index"):
        rmap.page_move_anon_rmap(locked(m, page), vma, START + m.page_size)


def test_without_debugging_a_page_moves_to_no_anon_vma_and_the_next_walk_oopses(arch):
    with Machine(arch, "16M", config={"debug_vm": False}) as m:
        vma, page = m.lab.vma(m.lab.mm(), START, 1), m.lab.page()
        m.lab.mapcount(page, 1)
        m.rmap.page_move_anon_rmap(page, vma, START)
        assert page.anon_vma is None
        assert m.rmap.page_referenced(page) == (0, 0)
        m.lab.lock_page(page)
        with pytest.raises(KernelBug, match="anon_vma is NULL") as caught:
            m.rmap.try_to_unmap(page)
        assert caught.value.kind == "oops"


def test_removing_one_mapping_too_many_counts_below_zero_like_the_kernel(m, lab, rmap):
    page = map_file(m, lab.vma(lab.mm(), START, 4, SHARED, 0, lab.file(4)), 0)
    rmap.page_remove_rmap(page)
    rmap.page_remove_rmap(page)
    assert page.mapcount == -1 and lab.zone_stat("nr_mapped") == -1


def test_the_last_mapping_of_a_file_page_takes_the_keys_changed_bit_along():
    with Machine("s390", "16M") as m:
        vma = m.lab.vma(m.lab.mm(), START, 4, SHARED, 0, m.lab.file(4))
        page = map_file(m, vma, 0)
        m.rmap.page_dup_rmap(page)
        m.lab.storage_key(page, 0x06)
        m.rmap.page_remove_rmap(page)
        assert m.lab.storage_key(page) == 0x06 and not page.flag_bits & PageFlag.dirty
        m.rmap.page_remove_rmap(page)
        assert m.lab.storage_key(page) == 0x04 and page.flag_bits & PageFlag.dirty


@pytest.mark.parametrize("cached", [False, True])
def test_the_key_of_an_anonymous_page_is_looked_at_only_in_the_swap_cache(cached):
    with Machine("s390", "16M", swap="1M") as m:
        page = map_anon(m, anon_vma(m), START)
        if cached:
            m.lab.swapcache(page, 0, 5)
        with m.measure() as cost:
            m.rmap.page_remove_rmap(page)
        assert cost.iske == cached and bool(page.flag_bits & PageFlag.dirty) is cached


def test_counts_wrap_as_an_atomic_t_does(m, lab, rmap):
    page = lab.file_page(lab.file(1), 0)
    lab.mapcount(page, 2**31 - 1)
    lab.count(page, 2**31 - 1)
    rmap.page_add_file_rmap(page)
    rmap.page_dup_rmap(page)
    lab.get_page(page)
    assert (page.mapcount, page.count) == (-(2**31) + 1, -(2**31))
    rmap.page_remove_rmap(page)
    assert page.mapcount == -(2**31)
