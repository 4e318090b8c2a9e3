# SPDX-License-Identifier: GPL-2.0-only
"""Where a page is mapped: the address that a VMA expects it at, and whether an entry is there."""

import pytest

from rmapemu import KernelBug, PageFlag, VmFlag
from support.lab import RW, SHARED, START, anon_vma, forked, map_anon, map_file


def test_the_address_follows_from_index_and_offset(m, lab, rmap):
    vma, page = lab.vma(lab.mm(), START, 4, SHARED, 10, lab.file(64)), lab.page()
    for index, address in ((9, None), (10, START), (13, START + 3 * m.page_size), (14, None), (1 << 60, None)):
        lab.index(page, index)
        assert rmap.vma_address(page, vma) == address


def test_any_anon_vma_of_the_tree_gives_an_anonymous_page_its_address(m, lab, rmap):
    parent = anon_vma(m)
    child, stranger = forked(m, parent), anon_vma(m)
    page = map_anon(m, child, START)
    assert rmap.page_address_in_vma(page, child) == START == rmap.page_address_in_vma(page, parent)
    assert rmap.page_address_in_vma(page, stranger) is None
    assert rmap.page_address_in_vma(page, lab.vma(lab.mm(), START, 4)) is None


def test_a_file_page_has_an_address_in_linear_vmas_of_its_file_only(m, lab, rmap):
    mm, file = lab.mm(), lab.file(8)
    vma = lab.vma(mm, START, 4, SHARED, 0, file)
    page = map_file(m, vma, 2)
    other = lab.vma(mm, START + 0x10000, 4, SHARED, 0, lab.file(8))
    assert rmap.page_address_in_vma(page, vma) == START + 2 * m.page_size
    assert rmap.page_address_in_vma(page, other) is None
    lab.vma_flags(vma, SHARED | VmFlag.NONLINEAR)
    assert rmap.page_address_in_vma(page, vma) is None


def test_a_page_is_found_under_an_entry_without_any_permission(m, lab, rmap):
    vma = anon_vma(m)
    page = map_anon(m, vma, START, protnone=True)
    assert rmap.page_mapped_in_vma(page, vma)
    assert rmap.page_check_address(page, vma.process, START).protnone


@pytest.mark.parametrize("entry", ["none", "swap", "migration", "hwpoison", "file", "other"])
def test_nothing_else_at_the_address_is_taken_for_the_page(m, lab, rmap, entry):
    vma = anon_vma(m)
    page, other = map_anon(m, vma, START), lab.page()
    what = {"swap": (0, 3), "migration": page, "hwpoison": page, "file": page.pfn}
    lab.set_pte(vma.process, START, **({entry: what[entry]} if entry in what else {"page": other} if entry == "other" else {}))
    with m.measure() as cost:
        assert rmap.page_check_address(page, vma.process, START) is None
    # only what is present is looked at under the lock
    assert cost.locks["ptl"] == (entry == "other")
    with m.measure() as cost:
        assert rmap.page_check_address(page, vma.process, START, sync=True) is None
    assert cost.locks["ptl"] == 1


def test_an_address_without_a_table_needs_no_lock(m, lab, rmap):
    vma, page = anon_vma(m), lab.page()
    lab.index(page, vma.vm_pgoff)
    with m.measure() as cost:
        assert not rmap.page_mapped_in_vma(page, vma)
    assert cost.locks["ptl"] == 0


@pytest.mark.parametrize(
    ("flags", "temporary"),
    [
        (VmFlag.GROWSDOWN | VmFlag.SEQ_READ | VmFlag.RAND_READ, True),
        (VmFlag.GROWSDOWN | VmFlag.SEQ_READ, False),
        (VmFlag.SEQ_READ | VmFlag.RAND_READ, False),
        (VmFlag.GROWSDOWN, False),
    ],
)
def test_a_stack_that_reads_both_ways_is_execs_own(m, lab, rmap, flags, temporary):
    assert rmap.is_vma_temporary_stack(lab.vma(lab.mm(), START, 1, RW | flags)) is temporary


def test_a_page_of_no_huge_size_in_a_hugetlb_vma_is_an_oops(m, lab, rmap):
    vma, page = lab.vma(lab.mm(), START, 4, RW | VmFlag.HUGETLB), lab.page()
    with pytest.raises(KernelBug, match="size_to_hstate") as caught:
        rmap.vma_address(page, vma)
    assert caught.value.kind == "oops"


@pytest.mark.parametrize("listed", [False, True], ids=["no tail behind it", "a tail whose word is no order"])
def test_a_head_alone_makes_no_huge_page(m, lab, rmap, listed):
    vma, pages = lab.vma(lab.mm(), START, 4, RW | VmFlag.HUGETLB), [lab.page() for _ in range(40)]
    head, tail = next((a, b) for a in pages for b in pages if b.pfn == a.pfn + 1)
    lab.flags(head, set=PageFlag.head)
    if listed:
        # the word is the previous page's number on a list
        lab.lru(max(pages, key=lambda page: page.pfn), "inactive_anon")
        lab.lru(tail, "inactive_anon", "tail")
        lab.flags(tail, set=PageFlag.tail)
    with pytest.raises(KernelBug, match="size_to_hstate"):
        rmap.vma_address(head, vma)
