# SPDX-License-Identifier: GPL-2.0-only
"""Whoever lets go of a lock may have changed what it guards: what was looked at before the wait is looked at again, as v3.2 does."""

import pytest

from rmapemu import TTU, PageFlag, Swap, VmFlag, WouldBlock
from support.lab import RW, START, anon_vma, locked, map_anon, map_file


@pytest.fixture
def mapped(m):
    vma = anon_vma(m)
    return vma, map_anon(m, vma, START)


def let_go(m, lock, owner, before):
    """Someone else holds the lock, and does something before it lets go of it."""

    def done(*_):
        before()
        m.lab.release(lock, *owner)
        return True

    m.lab.hold(lock, *owner)
    m.lab.on_block(done)


def test_an_entry_that_goes_while_its_lock_is_waited_for_maps_nothing(m, lab, rmap, mapped):
    vma, page = mapped
    let_go(m, "ptl", [(vma.process, START)], lambda: lab.set_pte(vma.process, START))
    assert not rmap.page_mapped_in_vma(page, vma)
    assert lab.locks_held() == []


def test_another_page_that_comes_in_its_place_keeps_its_young_bit(m, lab, rmap, mapped):
    vma, page = mapped
    let_go(m, "ptl", [(vma.process, START)], lambda: lab.set_pte(vma.process, START, lab.page(), young=True))
    with m.measure() as cost:
        assert rmap.page_referenced_anon(page)[0] == 0
    assert (cost.ptes_examined, cost.ptes_matched, cost.lock_ptl, cost.young_cleared) == (1, 0, 1, 0)


def test_another_page_that_comes_in_its_place_is_not_unmapped_for_it(m, lab, rmap, mapped):
    vma, page = mapped
    lab.swapcache(locked(m, page), 0, 3)
    other = lab.page()
    let_go(m, "ptl", [(vma.process, START)], lambda: lab.set_pte(vma.process, START, other))
    assert rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.AGAIN
    assert lab.get_pte(vma.process, START).pfn == other.pfn and page.mapcount == 1


@pytest.mark.parametrize("sync", [False, True])
def test_an_entry_that_comes_is_found_only_by_who_looks_at_absent_ones_under_the_lock(m, lab, rmap, mapped, sync):
    vma, page = mapped
    lab.set_pte(vma.process, START, swap=(0, 3))
    let_go(m, "ptl", [(vma.process, START)], lambda: lab.set_pte(vma.process, START, page))
    assert (rmap.page_check_address(page, vma.process, START, sync) is not None) == sync


def test_a_wait_that_is_given_up_leaves_the_entry(m, lab, rmap, mapped):
    vma, page = mapped
    lab.hold("ptl", (vma.process, START))
    was = lab.get_pte(vma.process, START)
    with pytest.raises(WouldBlock, match="ptl"):
        rmap.page_referenced(page)
    assert lab.get_pte(vma.process, START) == was and lab.locks_held() == []


def test_a_process_comes_onto_the_mmlist_once(m, lab, rmap, mapped):
    vma, page = mapped
    lab.swapcache(locked(m, page), 0, 3)
    let_go(m, "mmlist_lock", [], lambda: lab.mmlist_add(vma.process))
    assert rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert lab.state()["mmlist"] == [vma.process.pid]


def test_a_page_that_left_its_list_while_the_lock_was_waited_for_is_mlocked_where_it_is(m, lab, rmap, mapped):
    vma, page = mapped
    count = page.count
    lab.vma_flags(vma, RW | VmFlag.LOCKED)
    let_go(m, "lru_lock", [], lambda: lab.lru(page, None))
    assert rmap.try_to_unmap(locked(m, page)) is Swap.MLOCK
    assert "mlocked" in page.flags and page.lru is None and page.count == count


def test_a_slot_beyond_the_end_of_its_area_is_found_out_under_swap_lock(m, lab, rmap, mapped):
    vma, page = mapped
    lab.swapcache(locked(m, page), 0, 3)
    lab.private(page, 0x7ffffff)
    with m.measure() as cost:
        assert rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert cost.lock_swap_lock == 1 and lab.get_pte(vma.process, START).offset == 0x7ffffff


def test_a_nonlinear_entry_remembers_the_index_that_its_page_has_when_it_is_gone(m, lab, rmap):
    file = lab.file(64)
    vma = lab.vma(lab.mm(), START, 4, RW | VmFlag.SHARED | VmFlag.NONLINEAR, 0, file)
    page = lab.file_page(file, 9)
    rmap.page_add_file_rmap(page)
    lab.get_page(page)
    lab.set_pte(vma.process, START, page)
    lab.notifier(vma.process, invalidate_page=lambda *_: lab.index(page, 11))
    rmap.try_to_unmap_cluster(0, 1, vma)
    assert lab.get_pte(vma.process, START).pgoff == 11


def test_the_vmas_of_a_file_page_are_those_of_its_index_before_the_wait(m, lab, rmap):
    file = lab.file(64)
    lab.vma(lab.mm(), START, 4, RW | VmFlag.SHARED, 0, file)
    page = locked(m, lab.file_page(file, 1))
    lab.mapcount(page, 1)
    let_go(m, "i_mmap_mutex", [file], lambda: lab.index(page, 9))
    with m.measure() as cost:
        assert rmap.try_to_unmap(page) is Swap.AGAIN
    assert (cost.vmas_visited, cost.ptes_examined) == (1, 0)


def test_a_page_that_is_truncated_while_it_gets_dirty_is_not_counted(m, lab, rmap):
    vma = lab.vma(lab.mm(), START, 4, RW | VmFlag.SHARED, 0, lab.file(4))
    page = locked(m, map_file(m, vma, 0, dirty=True))
    if m.arch == "s390":
        lab.storage_key(page, 0x06)
    let_go(m, "tree_lock", [], lambda: lab.mapping(page, None))
    rmap.try_to_unmap_one(page, vma, START, TTU.UNMAP | TTU.IGNORE_ACCESS)
    assert page.flag_bits & PageFlag.dirty and m.vmstat["nr_dirty"] == 0
