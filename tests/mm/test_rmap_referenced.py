# SPDX-License-Identifier: GPL-2.0-only
"""Was the page used: which mappings are asked, which answers count, and where the walk ends."""

import pytest

from rmapemu import Machine, VmFlag
from support.lab import RW, SHARED, START, anon_vma, beside_its_index, forked, locked, map_anon, map_file


@pytest.fixture
def x86():
    with Machine("x86_64", "16M", swap="1M") as made:
        yield made


def family(m, children, flags=RW):
    """A page and its VMAs: of a parent and so many children, all entries young."""
    vmas = [anon_vma(m, flags=flags)]
    page = map_anon(m, vmas[0], START)
    for _ in range(children):
        vmas.append(forked(m, vmas[0]))
        map_anon(m, vmas[-1], START, page)
    return page, vmas


def test_each_young_entry_is_one_reference_and_is_old_afterwards(x86):
    page, vmas = family(x86, 3)
    x86.lab.set_pte(vmas[1].process, START, page, young=False)
    with x86.measure() as cost:
        assert x86.rmap.page_referenced(page) == (3, RW)
    assert (cost.young_cleared, cost.tlb_flush_page) == (3, 3)
    assert x86.rmap.page_referenced(page) == (0, 0)


def test_the_key_is_one_reference_however_many_map_the_page():
    with Machine("s390", "16M", swap="1M") as m:
        page, _vmas = family(m, 3)
        with m.measure() as cost:
            assert m.rmap.page_referenced(page) == (1, 0)
        assert (cost.rrbe, cost.tlb_flush_page) == (1, 0)
        assert m.rmap.page_referenced(page) == (0, 0)


def test_the_walk_ends_when_every_mapping_was_found(m, rmap):
    page, _vmas = family(m, 2)
    later = forked(m, _vmas[0])
    with m.measure() as cost:
        rmap.page_referenced(page)
    assert cost.vmas_visited == 3 and later.chain


def test_a_locked_mapping_ends_the_walk_and_says_so(x86):
    page, vmas = family(x86, 2)
    x86.lab.vma_flags(vmas[1], RW | VmFlag.LOCKED)
    with x86.measure() as cost:
        assert x86.rmap.page_referenced(page) == (1, RW | VmFlag.LOCKED)
    assert cost.vmas_visited == 2
    assert x86.lab.get_pte(vmas[1].process, START).young and x86.lab.get_pte(vmas[2].process, START).young


def test_a_sequential_mapping_is_cleared_but_not_counted(x86):
    page, vmas = family(x86, 1)
    x86.lab.vma_flags(vmas[1], RW | VmFlag.SEQ_READ)
    assert x86.rmap.page_referenced(page) == (1, RW)
    assert not x86.lab.get_pte(vmas[1].process, START).young


def test_a_mapping_read_in_any_order_counts(x86):
    page, _vmas = family(x86, 0, RW | VmFlag.SEQ_READ | VmFlag.RAND_READ)
    assert x86.rmap.page_referenced(page)[0] == 1


def test_a_page_that_is_not_mapped_is_not_asked_for_even_its_key(m, lab, rmap):
    page, _vmas = family(m, 0)
    lab.mapcount(page, 0)
    with m.measure() as cost:
        assert rmap.page_referenced(page) == (0, 0)
    assert not any(cost.as_dict().values())


def test_a_file_page_is_locked_for_the_walk_and_unlocked_after_it(x86):
    vma = x86.lab.vma(x86.lab.mm(), START, 4, SHARED, 0, x86.lab.file(4))
    page = map_file(x86, vma, 1, young=True)
    with x86.measure() as cost:
        assert x86.rmap.page_referenced(page) == (1, SHARED)
    assert cost.locks["page"] == cost.locks["i_mmap_mutex"] == 1
    assert "locked" not in page.flags


def test_a_file_page_locked_by_someone_is_taken_for_referenced(m, lab, rmap):
    vma = lab.vma(lab.mm(), START, 4, SHARED, 0, lab.file(4))
    page = locked(m, map_file(m, vma, 1))
    with m.measure() as cost:
        assert rmap.page_referenced(page) == (1, 0)
    assert cost.vmas_visited == 0 and cost.trylock_failed["page"] == 1
    assert rmap.page_referenced(page, True) == (0, 0)


def test_an_anonymous_page_is_asked_for_locked_or_not(x86):
    page, _vmas = family(x86, 0)
    locked(x86, page)
    assert x86.rmap.page_referenced(page)[0] == 1


def test_vmas_of_a_file_are_asked_in_order_of_offset_then_age(x86):
    file, seen = x86.lab.file(8), []
    for pgoff in (2, 0, 1, 0):
        vma = x86.lab.vma(x86.lab.mm(), START, 4, SHARED, pgoff, file)
        seen.append((pgoff, vma.serial))
    page = map_file(x86, vma, 3)
    visited = []
    x86.rmap.rmap_walk(locked(x86, page), lambda page, vma, address: visited.append((vma.vm_pgoff, vma.serial)))
    assert visited == sorted(seen)


def test_other_groups_references_do_not_count_for_a_group(x86):
    page, vmas = family(x86, 2)
    x86.lab.memcg(vmas[1].process, 1)
    assert x86.rmap.page_referenced(page, False, 1) == (1, RW)
    assert x86.lab.get_pte(vmas[0].process, START).young
    assert x86.rmap.page_referenced(page, False, 0) == (2, RW)


def test_the_holder_of_the_swap_token_in_a_fault_keeps_its_pages(x86):
    page, vmas = family(x86, 0)
    mm = vmas[0].process
    x86.rmap.page_referenced(page)
    x86.lab.set_swap_token(mm)
    assert x86.rmap.page_referenced(page) == (0, 0)
    x86.lab.hold("mmap_sem", mm, "r")
    assert x86.rmap.page_referenced(page) == (1, RW)
    x86.lab.set_current(mm)
    assert x86.rmap.page_referenced(page) == (0, 0)


def test_flags_are_collected_only_from_who_used_the_page(x86):
    page, vmas = family(x86, 1)
    x86.lab.vma_flags(vmas[0], RW | VmFlag.EXEC)
    x86.lab.set_pte(vmas[1].process, START, page, young=False)
    assert x86.rmap.page_referenced(page) == (1, RW | VmFlag.EXEC)


@pytest.mark.parametrize("flag", [0, VmFlag.SEQ_READ, VmFlag.LOCKED])
def test_the_walk_only_tries_for_its_lock_and_so_may_run_under_another_trees(m, lab, rmap, flag):
    other, vma = anon_vma(m), anon_vma(m, flags=RW | flag)
    page = map_anon(m, vma, START, young=False)
    rmap.anon_vma_lock(other.anon_vma)
    assert rmap.page_referenced(page) == (0, flag & VmFlag.LOCKED)
    assert lab.locks_held() == [("anon_vma", other.anon_vma)]
    rmap.anon_vma_unlock(other.anon_vma)


def test_a_huge_entry_that_is_made_old_is_one_entry_written(x86):
    vma = x86.lab.vma(x86.lab.mm(), 0x200000, 512)
    x86.rmap.anon_vma_prepare(vma)
    page = x86.lab.page("thp")
    x86.rmap.page_add_new_anon_rmap(page, vma, 0x200000)
    x86.lab.set_pmd(vma.process, 0x200000, page, young=True)
    with x86.measure() as cost:
        assert x86.rmap.page_referenced(page) == (1, RW)
    assert (cost.young_cleared, cost.ptes_written, cost.tlb_flush_range) == (1, 1, 1)


def test_a_huge_page_counts_all_its_frames_on_a_list(x86):
    page = x86.lab.page("thp")
    x86.lab.lru(page, "active_anon")
    assert x86.vmstat["nr_active_anon"] == 512
    x86.check()
    x86.lab.lru(page, None)
    assert x86.vmstat["nr_active_anon"] == 0


def test_a_huge_page_that_the_tree_finds_in_a_vma_before_it_is_not_asked_for_there(m, rmap):
    page, _vma = beside_its_index(m)
    with m.measure() as cost:
        assert rmap.page_referenced(page, is_locked=True) == (0, 0)
    assert cost.vmas_visited == 1 and cost.ptes_examined == 0


def test_the_other_half_of_a_split_vma_is_visited_and_passed_over(m, lab, rmap):
    half = anon_vma(m, 4)
    other = lab.vma_dup(half, start=START + 0x100000)
    rmap.anon_vma_clone(other, half)
    lab.vma_bounds(half, START, 2)
    lab.vma_bounds(other, START + 2 * m.page_size, 2, half.vm_pgoff + 2)
    page = map_anon(m, other, other.vm_start)
    with m.measure() as cost:
        assert rmap.page_referenced(page)[0] == 1
    assert (cost.vmas_visited, cost.ptes_examined, cost.ptes_matched) == (2, 1, 1)
