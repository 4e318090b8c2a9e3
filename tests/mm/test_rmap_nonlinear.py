# SPDX-License-Identifier: GPL-2.0-only
"""Nonlinear VMAs: clusters of entries are swept with a cursor, as hard as the page in hand is mapped."""

import pytest

from rmapemu import TTU, KernelBug, Machine, Swap, VmFlag
from support.lab import SHARED, START, anon_vma, locked, map_anon, map_file

NONLINEAR = SHARED | VmFlag.NONLINEAR
CLUSTER = 32


@pytest.fixture
def file(lab):
    return lab.file(128)


def nonlinear(m, file, npages=CLUSTER, flags=NONLINEAR, start=START):
    return m.lab.vma(m.lab.mm(), start, npages, flags, 0, file)


def place(m, vma, number, page=None, index=None, **bits):
    """A page of the file at the VMA's entry of that number."""
    return map_file(m, vma, number if index is None else index, page, address=vma.vm_start + number * m.page_size, **bits)


def test_a_cluster_is_swept_clean_of_whatever_it_maps(m, lab, rmap, file):
    vma = nonlinear(m, file, 2 * CLUSTER)
    pages = [place(m, vma, number) for number in (0, 5, CLUSTER - 1, CLUSTER)]
    assert rmap.try_to_unmap_cluster(0, 9, vma, pages[3]) == (Swap.AGAIN, 6)
    assert [page.mapcount for page in pages] == [0, 0, 0, 1]
    assert lab.rss(vma.process, "file") == 1 and lab.hiwater_rss(vma.process) == 4


def test_an_entry_off_its_linear_place_remembers_its_page(m, lab, rmap, file):
    vma = nonlinear(m, file)
    place(m, vma, 3, index=3)
    place(m, vma, 4, index=100)
    rmap.try_to_unmap_cluster(0, 2, vma)
    assert lab.get_pte(vma.process, START + 3 * m.page_size).kind == "none"
    entry = lab.get_pte(vma.process, START + 4 * m.page_size)
    assert (entry.kind, entry.pgoff) == ("file", 100)


def test_a_young_page_is_aged_and_stays():
    with Machine("x86_64", "16M") as m:
        vma = nonlinear(m, m.lab.file(64))
        page = place(m, vma, 1, young=True)
        assert m.rmap.try_to_unmap_cluster(0, 1, vma) == (Swap.AGAIN, 1)
        assert page.mapcount == 1
        assert m.rmap.try_to_unmap_cluster(0, 1, vma) == (Swap.AGAIN, 0)


def test_a_dirty_entry_dirties_its_page():
    with Machine("x86_64", "16M") as m:
        vma = nonlinear(m, m.lab.file(64))
        page = place(m, vma, 1, dirty=True)
        m.rmap.try_to_unmap_cluster(0, 1, vma)
        assert "dirty" in page.flags and m.vmstat["nr_dirty"] == 1


def test_clusters_are_aligned_to_the_address_space(m, rmap, file):
    vma = nonlinear(m, file, CLUSTER, start=START + 8 * m.page_size)
    near, far = place(m, vma, 23), place(m, vma, 24)
    rmap.try_to_unmap_cluster(0, 9, vma)
    assert (near.mapcount, far.mapcount) == (0, 1)
    rmap.try_to_unmap_cluster(CLUSTER * m.page_size, 9, vma)
    assert far.mapcount == 0


def test_a_cursor_behind_the_end_finds_an_empty_cluster(m, lab, rmap, file):
    vma = nonlinear(m, file, 4)
    beyond = lab.vma(vma.process, START + 4 * m.page_size, 4 * CLUSTER)
    rmap.anon_vma_prepare(beyond)
    page = map_anon(m, beyond, START + (CLUSTER + 1) * m.page_size)
    with m.measure() as cost:
        assert rmap.try_to_unmap_cluster(CLUSTER * m.page_size, 1, vma) == (Swap.AGAIN, 1)
    assert cost.ptes_examined == 0 and cost.locks["ptl"] == 1 and page.mapcount == 1


def test_an_anonymous_page_in_a_cluster_is_a_bug(m, lab, rmap, file):
    vma = nonlinear(m, file)
    lab.set_pte(vma.process, START, map_anon(m, anon_vma(m), START))
    with pytest.raises(KernelBug, match=r"!page \|\| PageAnon\(page\) in try_to_unmap_cluster"):
        rmap.try_to_unmap_cluster(0, 1, vma)


def test_a_locked_vma_mlocks_instead_and_reports_the_page_looked_for(m, lab, rmap, file):
    vma = nonlinear(m, file, flags=NONLINEAR | VmFlag.LOCKED)
    pages = [locked(m, place(m, vma, number)) for number in (0, 1)]
    assert rmap.try_to_unmap_cluster(0, 5, vma, pages[1]) == (Swap.MLOCK, 5)
    assert all("mlocked" in page.flags and page.mapcount == 1 for page in pages)


def test_a_locked_vma_whose_mmap_sem_is_taken_is_swept_like_others(m, lab, rmap, file):
    vma = nonlinear(m, file, flags=NONLINEAR | VmFlag.LOCKED)
    page = place(m, vma, 0)
    lab.hold("mmap_sem", vma.process, "w")
    assert rmap.try_to_unmap_cluster(0, 1, vma, page) == (Swap.AGAIN, 0)
    assert page.mapcount == 0


def test_the_cursor_stops_when_the_effort_is_spent_and_goes_on_next_time(m, lab, rmap, file):
    vma = nonlinear(m, file, 4 * CLUSTER)
    page = locked(m, lab.file_page(file, 120))
    lab.mapcount(page, 1)
    others = [place(m, vma, number) for number in (0, CLUSTER, 2 * CLUSTER)]
    assert rmap.try_to_unmap(page) is Swap.AGAIN
    assert lab.cursor(vma) == CLUSTER * m.page_size
    assert [one.mapcount for one in others] == [0, 1, 1]
    rmap.try_to_unmap(page)
    assert lab.cursor(vma) == 2 * CLUSTER * m.page_size
    assert [one.mapcount for one in others] == [0, 0, 1]


def test_a_sweep_that_reached_the_end_of_all_begins_anew(m, lab, rmap, file):
    vmas = [nonlinear(m, file, 3 * CLUSTER), nonlinear(m, file, CLUSTER)]
    page = locked(m, lab.file_page(file, 120))
    lab.mapcount(page, 2)
    lab.cursor(vmas[0], CLUSTER * m.page_size)
    assert rmap.try_to_unmap(page) is Swap.AGAIN
    assert [lab.cursor(vma) for vma in vmas] == [0, 0]


def test_vmas_are_swept_side_by_side_from_the_one_that_is_furthest(m, lab, rmap, file):
    vmas = [nonlinear(m, file, 4 * CLUSTER), nonlinear(m, file, 4 * CLUSTER)]
    lab.cursor(vmas[0], 2 * CLUSTER * m.page_size)
    last = place(m, vmas[1], 2 * CLUSTER)
    page = locked(m, lab.file_page(file, 120))
    lab.mapcount(page, 1)
    rmap.try_to_unmap(page)
    assert last.mapcount == 0 and [lab.cursor(vma) // m.page_size for vma in vmas] == [3 * CLUSTER, 3 * CLUSTER]


def test_linear_vmas_come_first_and_may_be_enough(m, lab, rmap, file):
    swept = place(m, nonlinear(m, file), 0)
    linear = lab.vma(lab.mm(), START, 4, SHARED, 0, file)
    page = locked(m, map_file(m, linear, 1))
    assert rmap.try_to_unmap(page, TTU.UNMAP) is Swap.SUCCESS
    assert swept.mapcount == 1


def test_munlock_does_not_look_into_nonlinear_vmas(m, lab, rmap, file):
    vma = nonlinear(m, file, flags=NONLINEAR | VmFlag.LOCKED)
    page = locked(m, place(m, vma, 0))
    with m.measure() as cost:
        assert rmap.try_to_munlock(page) is Swap.AGAIN
    assert cost.clusters_scanned == 0


def test_the_mended_cluster_scan_mlocks_what_it_can_lock_and_passes_over_the_rest(arch):
    """The page in hand is locked already; of the others one is locked by somebody else."""
    with Machine(arch, "16M", config={"cluster_mlock_fix": True}) as m:
        vma = nonlinear(m, m.lab.file(128), flags=NONLINEAR | VmFlag.LOCKED)
        pages = [place(m, vma, number) for number in range(3)]
        locked(m, pages[0])
        m.lab.hold("page", pages[1])
        with m.measure() as cost:
            assert m.rmap.try_to_unmap_cluster(0, 3, vma, pages[0])[0] is Swap.MLOCK
        assert ["mlocked" in page.flags for page in pages] == [True, False, True]
        assert cost.trylock_failed_page == 1
