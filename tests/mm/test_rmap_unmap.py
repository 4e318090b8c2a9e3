# SPDX-License-Identifier: GPL-2.0-only
"""Taking every mapping away: what stands in the entries afterwards, what stops the walk, and who is asked whether the page is locked."""

import pytest

from rmapemu import TTU, KernelBug, Machine, Swap, VmFlag
from support.lab import RW, SHARED, START, anon_vma, beside_its_index, forked, locked, map_anon, map_file

FORCE = TTU.UNMAP | TTU.IGNORE_ACCESS
MIGRATE = TTU.MIGRATION | TTU.IGNORE_ACCESS
STACK = VmFlag.GROWSDOWN | VmFlag.SEQ_READ | VmFlag.RAND_READ


def swappable(m, children=0, **bits):
    """A locked page in slot 5 of the swap cache, and its VMAs: of a parent and so many children."""
    vmas = [anon_vma(m)]
    page = map_anon(m, vmas[0], START, **bits)
    for _ in range(children):
        vmas.append(forked(m, vmas[0]))
        map_anon(m, vmas[-1], START, page, **bits)
    m.lab.swapcache(page, 0, 5)
    return locked(m, page), vmas


def isolated(m, vma):
    """A locked page outside of the swap cache, mapped at the VMA's start, with a reference of whoever migrates it."""
    page = locked(m, map_anon(m, vma, START))
    m.lab.get_page(page)
    return page


def entry(m, vma):
    return m.lab.get_pte(vma.process, vma.vm_start)


def test_each_mapping_becomes_a_user_of_the_slot(m, lab, rmap):
    page, vmas = swappable(m, 2)
    count = page.count
    assert rmap.try_to_unmap(page, FORCE) is Swap.SUCCESS
    assert [(entry(m, vma).kind, entry(m, vma).offset) for vma in vmas] == [("swap", 5)] * 3
    assert (lab.swap_count(0, 5), page.mapcount, page.count) == (3, 0, count - 3)
    assert [(lab.rss(vma.process, "anon"), lab.rss(vma.process, "swap")) for vma in vmas] == [(0, 1)] * 3


def test_a_process_with_swap_entries_goes_first_on_the_mmlist_once(m, rmap):
    page, vmas = swappable(m, 1)
    rmap.try_to_unmap(page, FORCE)
    assert m.dump()["machine"]["mmlist"] == [vma.pid for vma in reversed(vmas)]


def test_a_young_mapping_stops_the_walk_and_grows_old():
    with Machine("x86_64", "16M", swap="1M") as m:
        page, vmas = swappable(m, 1)
        assert m.rmap.try_to_unmap(page) is Swap.FAIL
        assert [entry(m, vma).young for vma in vmas] == [False, True]
        assert m.rmap.try_to_unmap(page) is Swap.FAIL
        assert [entry(m, vma).kind for vma in vmas] == ["swap", "present"]
        assert m.rmap.try_to_unmap(page) is Swap.SUCCESS


def test_on_s390_no_entry_is_young():
    with Machine("s390", "16M", swap="1M") as m:
        page, _vmas = swappable(m, 1)
        assert m.rmap.try_to_unmap(page) is Swap.SUCCESS


def test_the_dirty_bit_moves_to_the_page():
    with Machine("x86_64", "16M", swap="1M") as m:
        page, _vmas = swappable(m, dirty=True)
        assert "dirty" not in page.flags
        m.rmap.try_to_unmap(page, FORCE)
        assert "dirty" in page.flags


def test_a_page_in_the_swap_cache_takes_its_keys_changed_bit_along():
    with Machine("s390", "16M", swap="1M") as m:
        page, _vmas = swappable(m, 1, dirty=False)
        m.lab.storage_key(page, 0x02)
        m.rmap.try_to_unmap(page, FORCE)
        assert "dirty" in page.flags and m.lab.storage_key(page) == 0


def test_an_anonymous_page_without_a_slot_can_only_migrate(m, lab, rmap):
    vma = anon_vma(m)
    page = isolated(m, vma)
    with pytest.raises(KernelBug, match="TTU_MIGRATION"):
        rmap.try_to_unmap(page, FORCE)
    lab.revive()
    lab.set_pte(vma.process, START, page)
    assert rmap.try_to_unmap(page, MIGRATE) is Swap.SUCCESS
    assert entry(m, vma).kind == "migration" and lab.rss(vma.process, "anon") == 1


def test_migration_leaves_execs_own_stack_alone(m, lab, rmap):
    vma = anon_vma(m)
    page = isolated(m, vma)
    lab.vma_flags(vma, RW | STACK)
    assert rmap.try_to_unmap(page, MIGRATE) is Swap.AGAIN and page.mapcount == 1
    lab.vma_flags(vma, RW | VmFlag.GROWSDOWN)
    assert rmap.try_to_unmap(page, MIGRATE) is Swap.SUCCESS


def test_a_migrating_file_page_keeps_its_place_in_rss_and_an_unmapped_one_does_not(m, lab, rmap):
    file = lab.file(4)
    vmas = [lab.vma(lab.mm(), START, 4, SHARED, 0, file) for _ in range(2)]
    pages = [locked(m, map_file(m, vma, index, write=True)) for index, vma in enumerate(vmas)]
    assert rmap.try_to_unmap(pages[0], MIGRATE) is Swap.SUCCESS
    assert rmap.try_to_unmap(pages[1], FORCE) is Swap.SUCCESS
    assert entry(m, vmas[0]).kind == "migration" and entry(m, vmas[0]).write
    assert lab.get_pte(vmas[1].process, START + m.page_size).kind == "none"
    assert [lab.rss(vma.process, "file") for vma in vmas] == [1, 0]


@pytest.mark.parametrize("function", ["make_migration_entry", "make_hwpoison_entry"])
def test_an_entry_that_is_to_be_waited_for_wants_a_locked_page(m, lab, rmap, function):
    vma = anon_vma(m)
    page = map_anon(m, vma, START)
    if function == "make_hwpoison_entry":
        lab.flags(page, set=1 << 23)
    with pytest.raises(KernelBug, match=r"!PageLocked\(page\)") as caught:
        rmap.try_to_unmap_one(page, vma, START, MIGRATE)
    assert caught.value.function == function


def test_a_poisoned_file_page_leaves_an_entry_that_kills_too(m, lab, rmap):
    vma = lab.vma(lab.mm(), START, 4, SHARED, 0, lab.file(4))
    page = locked(m, map_file(m, vma, 0))
    lab.flags(page, set=1 << 23)
    assert rmap.try_to_unmap(page, FORCE) is Swap.SUCCESS
    assert (entry(m, vma).kind, lab.rss(vma.process, "file"), page.mapcount) == ("hwpoison", 0, 0)


def test_poison_can_be_ignored(m, lab, rmap):
    page, (vma,) = swappable(m)
    lab.flags(page, set=1 << 23)
    rmap.try_to_unmap(page, FORCE | TTU.IGNORE_HWPOISON)
    assert entry(m, vma).kind == "swap"


def test_a_locked_mapping_is_found_unless_locks_are_ignored(m, lab, rmap):
    page, vmas = swappable(m, 1)
    lab.vma_flags(vmas[1], RW | VmFlag.LOCKED)
    assert rmap.try_to_unmap(page, FORCE) is Swap.MLOCK
    assert "mlocked" in page.flags and [entry(m, vma).kind for vma in vmas] == ["swap", "present"]
    assert rmap.try_to_unmap(page, FORCE | TTU.IGNORE_MLOCK) is Swap.SUCCESS


def test_the_munlock_action_takes_nothing_away(m, lab, rmap):
    page, vmas = swappable(m, 1)
    assert rmap.try_to_unmap(page, TTU.MUNLOCK) is Swap.AGAIN
    assert [entry(m, vma).kind for vma in vmas] == ["present"] * 2
    lab.lru(page, None)
    lab.vma_flags(vmas[1], RW | VmFlag.LOCKED)
    assert rmap.try_to_munlock(page) is Swap.MLOCK and "mlocked" in page.flags


def test_munlocking_wants_a_locked_page_off_the_lists(m, lab, rmap):
    page, _vmas = swappable(m)
    with pytest.raises(KernelBug, match="PageLRU"):
        rmap.try_to_munlock(page)


def test_a_page_that_nobody_maps_is_unmapped_already(m, lab, rmap):
    page, (vma,) = swappable(m)
    lab.mapcount(page, 0)
    assert rmap.try_to_unmap(page, FORCE) is Swap.SUCCESS
    assert entry(m, vma).kind == "present"


def test_a_mapping_that_was_missed_is_tried_again_later(m, lab, rmap):
    page, (vma,) = swappable(m)
    lab.mapcount(page, 2)
    assert rmap.try_to_unmap(page, FORCE) is Swap.AGAIN
    assert page.mapcount == 1 and entry(m, vma).kind == "swap"


def test_a_counter_below_zero_does_not_raise_the_high_water_mark(m, lab, rmap):
    page, (vma,) = swappable(m)
    lab.rss(vma.process, "file", -7)
    lab.rss(vma.process, "anon", 3)
    rmap.try_to_unmap(page, FORCE)
    assert lab.hiwater_rss(vma.process) == 3


def test_a_huge_page_that_the_tree_finds_in_a_vma_before_it_stays_mapped(m, rmap):
    page, _vma = beside_its_index(m)
    with m.measure() as cost:
        assert rmap.try_to_unmap(page, FORCE) is Swap.AGAIN
    assert cost.vmas_visited == 1 and cost.ptes_examined == 0 and page.mapcount == 1


def test_the_other_half_of_a_split_vma_is_visited_and_keeps_its_entries(m, lab, rmap):
    page, (half,) = swappable(m, young=False)
    other = lab.vma_dup(half, start=START + 0x100000)
    rmap.anon_vma_clone(other, half)
    # both lie where they would after a split; the page's half comes second
    lab.vma_bounds(half, START + 2 * m.page_size, 2, half.vm_pgoff + 2)
    lab.vma_bounds(other, START, 2)
    with m.measure() as cost:
        assert rmap.try_to_unmap(page) is Swap.SUCCESS
    assert cost.vmas_visited == 2 and lab.get_pte(other.process, START).kind == "swap"


@pytest.mark.parametrize("private", [0xffffffff, 0x7ffffff], ids=["area", "offset"])
def test_a_page_whose_slot_does_not_exist_is_unmapped_as_if_it_had_been_counted(m, lab, rmap, private):
    page, (vma,) = swappable(m, young=False)
    lab.private(page, private)
    assert rmap.try_to_unmap(page) is Swap.SUCCESS
    assert entry(m, vma).kind not in ("present", "none") and page.mapcount == 0 and lab.rss(vma.process, "swap") == 1
