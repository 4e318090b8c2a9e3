# SPDX-License-Identifier: GPL-2.0-only
"""try_to_unmap on states built by hand: what stands in for an entry, and what keeps it."""

import pytest

from rmapemu import TTU, Swap, VmFlag
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
    mm, _vma, page = anon
    lab.get_page(page)
    lab.set_pte(mm, START, page, write=write, young=True)
    lab.lock_page(page)
    assert rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    entry = lab.get_pte(mm, START)
    assert (entry.kind, entry.pfn, entry.write) == ("migration", page.pfn, write)
    assert lab.rss(mm, "anon") == 1
    lab.unlock_page(page)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)


def test_a_poisoned_page_leaves_an_entry_that_kills_and_its_count_goes(lab, rmap, anon):
    mm, _vma, page = anon
    lab.get_page(page)
    lab.flags(page, set=1 << 23)
    lab.lock_page(page)
    assert rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert lab.get_pte(mm, START).kind == "hwpoison" and lab.rss(mm, "anon") == 0
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
