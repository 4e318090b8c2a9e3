# SPDX-License-Identifier: GPL-2.0-only
"""try_to_unmap on states built by hand: what stands in for an entry, and what keeps it."""

import pytest

from rmapemu import TTU, KernelBug, Machine, Swap, VmFlag
from support.lab import START


def test_a_slot_whose_count_cannot_grow_gives_the_entry_back(lab, rmap, anon):
    mm, _vma, page = anon
    before = lab.get_pte(mm, START)
    lab.swapcache(page, 0, 5)
    lab.swap_count(0, 5, 0x3E)
    lab.fail_alloc(1, kind="swap_count")
    lab.lock_page(page)
    assert rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.FAIL
    assert lab.get_pte(mm, START)._replace(young=before.young) == before
    assert page.mapcount == 1 and lab.rss(mm, "anon") == 1 and not lab.mmlist(mm)
    lab.unlock_page(page)
    lab.swap_count(0, 5, 0)
    lab.swapcache(page)


@pytest.mark.parametrize("write", [True, False])
def test_migration_leaves_an_entry_that_says_whether_it_could_be_written(lab, rmap, anon, write):
    mm, vma, page = anon
    lab.get_page(page)
    lab.set_pte(mm, START, page, write=write, young=True)
    lab.lock_page(page)
    assert rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    entry = lab.get_pte(mm, START)
    assert (entry.kind, entry.pfn, entry.write) == ("migration", page.pfn, write)
    assert lab.rss(mm, "anon") == 1 and vma.smaps()["Swap"] == 4  # v3.2's smaps takes it for one of swap
    lab.unlock_page(page)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)


def test_a_poisoned_page_leaves_an_entry_that_kills_and_its_count_goes(lab, rmap, anon):
    mm, vma, page = anon
    lab.get_page(page)
    lab.flags(page, set=1 << 23)
    lab.lock_page(page)
    assert rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert lab.get_pte(mm, START).kind == "hwpoison" and lab.rss(mm, "anon") == 0
    assert vma.smaps()["Swap"] == 4  # as of a page under migration
    lab.unlock_page(page)
    lab.flags(page, clear=1 << 23)


def test_mlock_is_believed_only_under_mmap_sem(lab, rmap, anon):
    mm, vma, page = anon
    lab.vma_flags(vma, VmFlag.READ | VmFlag.WRITE | VmFlag.LOCKED)
    lab.lock_page(page)
    lab.hold("mmap_sem", mm, "w")
    assert rmap.try_to_unmap(page) is Swap.AGAIN and "mlocked" not in str(page.flags)
    lab.release("mmap_sem", mm)
    lab.hold("mmap_sem", mm, "r")
    assert rmap.try_to_unmap(page) is Swap.MLOCK
    lab.release("mmap_sem", mm)
    assert lab.flags(page) & (1 << 21)
    lab.unlock_page(page)
    lab.vma_flags(vma, VmFlag.READ | VmFlag.WRITE)
    lab.flags(page, clear=1 << 21)
    lab.zone_stat("nr_mlock", 0)


def test_migration_keeps_away_from_the_stack_that_exec_is_building(machine, lab, rmap, anon):
    _mm, vma, page = anon
    lab.get_page(page)
    lab.lock_page(page)
    building = VmFlag.READ | VmFlag.WRITE | VmFlag.GROWSDOWN | VmFlag.SEQ_READ | VmFlag.RAND_READ
    lab.vma_flags(vma, building)
    assert rmap.is_vma_temporary_stack(vma)
    assert rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.AGAIN and page.mapcount == 1
    for not_one in (building & ~VmFlag.RAND_READ, building & ~VmFlag.GROWSDOWN):
        lab.vma_flags(vma, not_one)
        assert not rmap.is_vma_temporary_stack(vma)
    assert rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    lab.unlock_page(page)
    lab.set_pte(anon[0], START)
    lab.rss(anon[0], "anon", 0)


def test_a_mm_goes_to_the_head_of_the_mmlist_with_its_first_swap_entry(machine, lab, rmap, anon):
    mm, _vma, page = anon
    other = lab.mm()
    lab.mmlist_add(other)
    lab.swapcache(page, 0, 7)
    lab.lock_page(page)
    with machine.measure() as cost:
        assert rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert cost.lock_mmlist_lock == 1 and machine.dump()["machine"]["mmlist"] == [mm.pid, other.pid]
    lab.mmlist_remove(mm)
    assert not lab.mmlist(mm) and lab.mmlist(other)
    with pytest.raises(ValueError, match="mmlist"):
        lab.mmlist_remove(mm)
    lab.unlock_page(page)


# ---------------------------------------------------------------- what CONFIG_ options switch
def built(machine, start=START):
    """(mm, vma, page): an anonymous page mapped young, with a second reference."""
    lab, rmap = machine.lab, machine.rmap
    mm = lab.mm()
    vma, page = lab.vma(mm, start, 1), lab.page()
    rmap.anon_vma_prepare(vma)
    rmap.page_add_new_anon_rmap(page, vma, start)
    lab.get_page(page)
    lab.set_pte(mm, start, page, write=True)
    lab.lock_page(page)
    return mm, vma, page


def test_without_migration_what_stands_in_is_page_private_as_it_is(arch):
    with Machine(arch, "16M", swap="16M", config={"migration": False}) as m:
        mm, _vma, page = built(m)
        m.lab.private(page, (0, 9))
        assert m.rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.SUCCESS
        entry = m.lab.get_pte(mm, START)
        assert (entry.kind, entry.offset) == ("swap", 9) and m.lab.rss(mm, "swap") == 0
        with pytest.raises(ValueError, match="migration"):
            m.rmap.rmap_walk(page, lambda *_: None)


def test_with_migration_an_anonymous_page_without_a_slot_is_not_simply_unmapped(arch):
    with Machine(arch, "16M") as m:
        _mm, _vma, page = built(m)
        with pytest.raises(KernelBug, match="TTU_MIGRATION"):
            m.rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS)


def test_without_debug_vm_only_bug_on_is_left(arch):
    with Machine(arch, "16M", config={"debug_vm": False}) as m:
        mm, vma, page = built(m)
        lab, rmap = m.lab, m.rmap
        lab.unlock_page(page)
        lab.index(page, 1)
        rmap.page_add_anon_rmap(page, vma, START)
        rmap.page_check_anon_rmap(page, vma, START)
        rmap.page_move_anon_rmap(page, vma, START)
        assert rmap.rmap_walk(page, lambda *_: Swap.FAIL) is Swap.AGAIN
        assert rmap.try_to_munlock(page) is Swap.AGAIN
        rmap.page_move_anon_rmap(page, lab.vma(mm, 2 * START, 1), START)
        with pytest.raises(KernelBug, match="oops"):
            rmap.page_lock_anon_vma(page)
        lab.revive()
        with pytest.raises(KernelBug, match="PageLocked") as caught:
            rmap.try_to_unmap(page)
        assert str(caught.value).startswith("BUG_ON")


def test_transparent_huge_pages_are_configured_where_v3_2_has_them():
    assert Machine("x86_64", "16M").config["transparent_hugepage"]
    assert not Machine("s390", "16M").config["transparent_hugepage"]
    assert Machine("s390", "16M", config={"transparent_hugepage": True}).config["transparent_hugepage"]
