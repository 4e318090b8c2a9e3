# SPDX-License-Identifier: GPL-2.0-only
"""Cleaning before writeback: shared mappings lose their dirty and write bits, and the key its changed bit."""

import pytest

from rmapemu import KernelBug, Machine
from support.lab import RW, SHARED, START, anon_vma, beside_its_index, locked, map_anon, map_file


@pytest.fixture
def x86():
    with Machine("x86_64", "16M", swap="1M") as made:
        yield made


def mappings(m, *flags):
    """A file's page 0 and a VMA of it with each of the flags."""
    file = m.lab.file(4)
    return m.lab.file_page(file, 0), [m.lab.vma(m.lab.mm(), START, 4, one, 0, file) for one in flags]


@pytest.mark.parametrize(("write", "dirty", "changed"), [(False, False, 0), (True, False, 1), (False, True, 1), (True, True, 1)])
def test_an_entry_that_is_dirty_or_writable_becomes_neither(x86, write, dirty, changed):
    page, (vma,) = mappings(x86, SHARED)
    map_file(x86, vma, 0, page, write=write, dirty=dirty, young=True)
    with x86.measure() as cost:
        assert x86.rmap.page_mkclean(locked(x86, page)) == changed
    entry = x86.lab.get_pte(vma.process, START)
    assert (entry.write, entry.dirty, entry.young) == (False, False, True)
    assert cost.tlb_flush_page == cost.cache_flush_page == changed


def test_every_shared_mapping_is_counted_and_private_ones_are_left_alone(m, lab, rmap):
    page, vmas = mappings(m, SHARED, RW, SHARED)
    for vma in vmas:
        map_file(m, vma, 0, page, write=True)
    assert rmap.page_mkclean(locked(m, page)) == 2
    assert [lab.get_pte(vma.process, START).write for vma in vmas] == [False, True, False]


def test_the_changed_key_alone_makes_a_page_dirty():
    with Machine("s390", "16M") as m:
        page, (vma,) = mappings(m, SHARED)
        map_file(m, vma, 0, page)
        m.lab.storage_key(page, 0x06)
        assert m.rmap.page_mkclean(locked(m, page)) == 1
        assert m.lab.storage_key(page) == 0x04
        assert m.rmap.page_mkclean(page) == 0


def test_an_s390_entry_without_any_permission_looks_writable_and_stays_so():
    with Machine("s390", "16M") as m:
        page, (vma,) = mappings(m, SHARED)
        map_file(m, vma, 0, page, protnone=True)
        assert [m.rmap.page_mkclean(locked(m, page)), m.rmap.page_mkclean(page)] == [1, 1]
        assert m.lab.get_pte(vma.process, START).protnone


def test_a_page_that_is_not_mapped_keeps_its_key(m, lab, rmap, arch):
    page, _vmas = mappings(m, SHARED)
    if arch == "s390":
        lab.storage_key(page, 0x02)
    with m.measure() as cost:
        assert rmap.page_mkclean(locked(m, page)) == 0
    assert not any(cost.as_dict().values())


def test_an_anonymous_page_has_no_mapping_to_clean_but_in_the_swap_cache_is_a_bug(m, lab, rmap):
    vma = anon_vma(m)
    page = locked(m, map_anon(m, vma, START))
    assert rmap.page_mkclean(page) == 0 and lab.get_pte(vma.process, START).write
    lab.swapcache(page, 0, 5)
    with pytest.raises(KernelBug, match=r"PageAnon\(page\) in page_mkclean_file"):
        rmap.page_mkclean(page)


def test_the_page_has_to_be_locked(m, lab, rmap):
    page, (vma,) = mappings(m, SHARED)
    map_file(m, vma, 0, page)
    with pytest.raises(KernelBug, match=r"!PageLocked\(page\) in page_mkclean"):
        rmap.page_mkclean(page)


def test_a_huge_page_that_the_tree_finds_in_a_vma_before_it_is_not_cleaned_there(m, rmap):
    page, _vma = beside_its_index(m)
    with m.measure() as cost:
        assert rmap.page_mkclean(page) == 0
    assert cost.vmas_visited == 1 and cost.ptes_examined == 0
