# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages built by hand: THP entries that may be splitting, hugetlb pages and their unit of index, compound pages."""

import pytest

from rmapemu import TTU, KernelBug, Machine, Swap, VmFlag
from support.lab import START

HUGE = 1 << 21
RW = VmFlag.READ | VmFlag.WRITE


@pytest.fixture
def machine():
    made = Machine("x86_64", "32M", swap="16M")
    yield made
    if not made.closed and not made.dead:
        made.check()


@pytest.fixture
def thp(machine, lab, rmap):
    """(mm, vma of two huge pages, huge page mapped young at its start)."""
    mm = lab.mm()
    vma = lab.vma(mm, HUGE, 2 * HUGE // machine.page_size)
    page = lab.page("thp")
    rmap.anon_vma_prepare(vma)
    rmap.page_add_new_anon_rmap(page, vma, HUGE)
    lab.lru(page, None)
    lab.set_pmd(mm, HUGE, page, write=True, young=True)
    lab.rss(mm, "anon", 512)
    return mm, vma, page


@pytest.fixture
def hugetlb(machine, lab, rmap):
    """(mm, hugetlb vma of two pages, a locked page mapped by its second half)."""
    mm = lab.mm()
    vma = lab.vma(mm, HUGE, 2 * HUGE // machine.page_size, RW | VmFlag.HUGETLB, 0)
    page = lab.page("huge")
    rmap.anon_vma_prepare(vma)
    rmap.hugepage_add_new_anon_rmap(page, vma, 2 * HUGE)
    lab.set_pmd(mm, 2 * HUGE, page, write=True, young=True)
    lab.lock_page(page)
    yield mm, vma, page
    if not machine.dead:
        lab.unlock_page(page)


# ---------------------------------------------------------------- THP
def test_a_huge_page_counts_apart_from_small_anonymous_ones(machine, lab, rmap, thp):
    _mm, vma, page = thp
    count = {name: machine.vmstat[name] for name in ("nr_anon_pages", "nr_anon_transparent_hugepages")}
    assert count == {"nr_anon_pages": 0, "nr_anon_transparent_hugepages": 1}
    rmap.page_remove_rmap(page)
    assert machine.vmstat["nr_anon_transparent_hugepages"] == 0
    lab.lock_page(page)
    rmap.page_add_anon_rmap(page, vma, HUGE)
    lab.unlock_page(page)
    assert machine.vmstat["nr_anon_transparent_hugepages"] == 1
    lab.set_pmd(thp[0], HUGE)
    lab.rss(thp[0], "anon", 0)
    rmap.page_remove_rmap(page)


def test_its_reference_is_found_and_cleared_with_a_flush_of_the_range(machine, lab, rmap, thp):
    _mm, _vma, page = thp
    with machine.measure() as cost:
        assert rmap.page_referenced(page)[0] == 1
    assert (cost.young_cleared, cost.tlb_flush_range, cost.tlb_flush_page) == (1, 1, 0)
    with machine.measure() as cost:
        assert rmap.page_referenced(page)[0] == 0
    assert cost.tlb_flush_range == 0 and cost.ptes_matched == 1


def test_a_huge_page_that_is_being_split_is_referenced_too(lab, rmap, thp):
    mm, _vma, page = thp
    lab.set_pmd(mm, HUGE, page, young=True, splitting=True)
    assert rmap.page_referenced(page)[0] == 1
    assert rmap.page_check_address_pmd(page, mm, HUGE) == lab.get_pmd(mm, HUGE)
    assert rmap.page_check_address_pmd(page, mm, HUGE, "splitting") is not None
    assert rmap.page_check_address_pmd(page, mm, HUGE, "notsplitting") is None


def test_asking_for_a_split_that_is_none_is_a_bug(lab, rmap, thp):
    mm, _vma, page = thp
    assert rmap.page_check_address_pmd(page, mm, HUGE, "notsplitting") is not None
    assert rmap.page_check_address_pmd(page, mm, HUGE + 4096) is None
    assert rmap.page_check_address_pmd(page, mm, 2 * HUGE) is None
    assert rmap.page_check_address_pmd(page, mm, 1 << 40) is None
    with pytest.raises(KernelBug, match="pmd_trans_splitting"):
        rmap.page_check_address_pmd(page, mm, HUGE, "splitting")
    lab.revive()


def test_a_locked_mapping_of_a_huge_page_ends_the_walk(lab, rmap, thp):
    _mm, vma, page = thp
    lab.vma_flags(vma, RW | VmFlag.LOCKED)
    lab.locked_vm(thp[0], 2 * HUGE // 4096)
    assert rmap.page_referenced_one(page, vma, HUGE, 3) == (0, 0, VmFlag.LOCKED)


def test_a_notifier_sees_a_huge_page_used(lab, rmap, thp):
    mm, _vma, page = thp
    rmap.page_referenced(page)
    lab.notifier(mm, clear_flush_young=True)
    assert rmap.page_referenced(page)[0] == 1


def test_a_huge_page_must_be_split_before_it_is_unmapped(lab, rmap, thp):
    _mm, _vma, page = thp
    lab.lock_page(page)
    with pytest.raises(KernelBug, match="PageTransHuge"):
        rmap.try_to_unmap(page)
    lab.revive()
    lab.unlock_page(page)


def test_a_small_page_is_not_looked_for_under_a_huge_entry(machine, lab, rmap, thp):
    mm, vma, _page = thp
    small = lab.page()
    lab.mapping(small, vma.anon_vma)
    lab.index(small, HUGE // machine.page_size + 5)
    assert rmap.page_check_address(small, mm, HUGE + 5 * machine.page_size, True) is None


def test_a_tail_is_refused_where_only_heads_are_asked_for(machine, lab, rmap, thp):
    _mm, vma, page = thp
    tail = machine.page(page.pfn + 1)
    with pytest.raises(KernelBug, match="PageTail"):
        rmap.page_referenced_one(tail, vma, HUGE, 1)
    lab.revive()


def test_without_thp_a_head_is_a_page_like_others():
    with Machine("x86_64", "32M", config={"transparent_hugepage": False}) as m:
        page, vma = m.lab.page("thp"), m.lab.vma(m.lab.mm(), HUGE, 512)
        m.rmap.anon_vma_prepare(vma)
        m.rmap.page_add_new_anon_rmap(page, vma, HUGE)
        assert m.vmstat["nr_anon_pages"] == 1 and m.vmstat["nr_anon_transparent_hugepages"] == 0
        with pytest.raises(ValueError, match="transparent_hugepage"):
            m.rmap.page_check_address_pmd(page, vma.process, HUGE)


# ---------------------------------------------------------------- compound pages
@pytest.mark.parametrize("kind", ["thp", "huge"])
def test_the_last_reference_to_the_head_frees_all_frames(machine, lab, kind):
    free = machine.vmstat["nr_free_pages"]
    page = lab.page(kind)
    assert machine.vmstat["nr_free_pages"] == free - 512
    assert "head" in str(page.flags) and "tail" in str(machine.page(page.pfn + 511).flags)
    lab.put_page(page)
    assert machine.vmstat["nr_free_pages"] == free


def test_a_huge_page_is_charged_with_all_its_frames(lab, thp):
    _mm, _vma, page = thp
    lab.charge(page, 1)
    assert lab.memcg_stat(1, "usage") == 512
    lab.uncharge(page)
    assert lab.memcg_stat(1, "usage") == 0


# ---------------------------------------------------------------- hugetlb
def test_the_index_of_a_hugetlb_page_counts_huge_pages(rmap, hugetlb):
    _mm, vma, page = hugetlb
    assert page.index == 1
    assert rmap.vma_address(page, vma) == 2 * HUGE
    assert rmap.page_address_in_vma(page, vma) == 2 * HUGE


@pytest.mark.parametrize("address", [HUGE - 4096, 3 * HUGE], ids=["before", "behind"])
def test_a_new_hugetlb_page_outside_of_its_vma_is_a_bug(lab, rmap, hugetlb, address):
    _mm, vma, _page = hugetlb
    with pytest.raises(KernelBug, match=r"address < vma->vm_start \|\| address >= vma->vm_end"):
        rmap.hugepage_add_new_anon_rmap(lab.page("huge"), vma, address)


def test_no_counter_knows_a_hugetlb_page(machine, lab, rmap, hugetlb):
    mm, vma, page = hugetlb
    before = machine.vmstat
    rmap.hugepage_add_anon_rmap(page, vma, 2 * HUGE)
    rmap.page_remove_rmap(page)
    lab.set_pmd(mm, 2 * HUGE)
    rmap.page_remove_rmap(page)
    assert machine.vmstat == before and page.mapcount == 0


def test_the_level_above_the_leaves_is_read_as_its_entry(lab, rmap, hugetlb):
    mm, vma, page = hugetlb
    assert rmap.page_mapped_in_vma(page, vma)
    assert rmap.page_check_address(page, mm, 2 * HUGE).pfn == page.pfn
    assert rmap.page_check_address(page, mm, HUGE) is None
    with pytest.raises(KernelBug, match="huge_pte_offset"):
        rmap.page_check_address(page, mm, 1 << 40)
    lab.revive()


def test_migration_of_a_hugetlb_page_leaves_its_entry_in_that_level(lab, rmap, hugetlb):
    mm, vma, page = hugetlb
    lab.get_page(page)
    assert lab.touch(mm, 2 * HUGE + 8192)
    assert rmap.try_to_unmap(page, TTU.MIGRATION | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert page.mapcount == 0 and not rmap.page_mapped_in_vma(page, vma)
    entry = lab.get_pmd(mm, 2 * HUGE)
    # the translation is gone for every address in it
    assert not lab.touch(mm, 2 * HUGE + 8192)
    lab.set_pmd(mm, 2 * HUGE)
    lab.set_pmd(mm, 2 * HUGE, migration=page, write=True)
    assert lab.get_pmd(mm, 2 * HUGE) == entry
    lab.set_pmd(mm, 2 * HUGE)


def test_a_small_page_has_no_huge_page_size(lab, rmap, hugetlb):
    small = lab.page()
    with pytest.raises(KernelBug, match="size_to_hstate"):
        rmap.vma_address(small, hugetlb[1])
    lab.revive()


def test_without_hugetlb_a_vma_of_it_is_an_ordinary_one():
    with Machine("x86_64", "32M", config={"hugetlb_page": False}) as m:
        page, vma = m.lab.page(), m.lab.vma(m.lab.mm(), START, 4, RW | VmFlag.HUGETLB, 0)
        m.lab.index(page, 3)
        assert m.rmap.vma_address(page, vma) == START + 3 * m.page_size
        with pytest.raises(ValueError, match="hugetlb_page"):
            m.rmap.hugepage_add_anon_rmap(page, vma, START)
        with pytest.raises(ValueError, match="huge"):
            m.lab.page("huge")


def test_on_s390_a_segment_entry_read_as_a_page_table_entry_never_matches():
    with Machine("s390", "32M") as m:
        mm, page = m.lab.mm(), m.lab.page("huge")
        vma = m.lab.vma(mm, HUGE, 512, RW | VmFlag.HUGETLB, 0)
        m.rmap.anon_vma_prepare(vma)
        m.rmap.hugepage_add_new_anon_rmap(page, vma, HUGE)
        m.lab.set_pmd(mm, HUGE, page, write=True)
        assert m.rmap.vma_address(page, vma) == HUGE
        assert not m.rmap.page_mapped_in_vma(page, vma)
