# SPDX-License-Identifier: GPL-2.0-only
"""Every place where a page could be mapped, in order, whether an entry is there or not."""

import pytest

from rmapemu import KernelBug, Swap, VmFlag
from support.lab import RW, SHARED, START, anon_vma, beside_its_index, forked, locked, map_anon


def walked(m, page, answer=None):
    """(what rmap_walk returned, the VMAs visited)."""
    seen = []

    def visit(page, vma, address):
        seen.append(vma.serial)
        return answer

    return m.rmap.rmap_walk(page, visit), seen


def test_a_walk_does_not_ask_whether_the_page_is_mapped(m, lab):
    parent = anon_vma(m)
    child = forked(m, parent)
    page = locked(m, map_anon(m, parent, START))
    lab.mapcount(page, 0)
    lab.set_pte(parent.process, START)
    assert walked(m, page) == (Swap.AGAIN, [parent.serial, child.serial])


def test_a_vma_that_does_not_reach_the_page_is_passed_over(m, lab):
    parent = anon_vma(m, 4)
    child = forked(m, parent)
    page = locked(m, map_anon(m, parent, START + 3 * m.page_size))
    lab.vma_bounds(child, START, 2)
    with m.measure() as cost:
        assert walked(m, page) == (Swap.AGAIN, [parent.serial])
    assert cost.vmas_visited == 2


def test_any_answer_but_again_ends_the_walk(m):
    parent = anon_vma(m)
    forked(m, parent)
    page = locked(m, map_anon(m, parent, START))
    assert walked(m, page, Swap.FAIL) == (Swap.FAIL, [parent.serial])


def test_nonlinear_vmas_are_not_walked(m, lab):
    file = lab.file(4)
    linear = lab.vma(lab.mm(), START, 4, SHARED, 0, file)
    lab.vma(lab.mm(), START, 4, SHARED | VmFlag.NONLINEAR, 0, file)
    assert walked(m, locked(m, lab.file_page(file, 1))) == (Swap.AGAIN, [linear.serial])


def test_a_page_of_nothing_has_no_places_and_takes_no_lock(m, lab):
    page = locked(m, lab.page())
    with m.measure() as cost:
        assert walked(m, page) == (Swap.AGAIN, [])
    assert not any(cost.locks.values())


def test_the_page_has_to_be_locked(m, rmap):
    page = map_anon(m, anon_vma(m, flags=RW), START)
    with pytest.raises(KernelBug, match=r"!PageLocked\(page\) in rmap_walk"):
        rmap.rmap_walk(page, lambda page, vma, address: None)


def test_a_huge_page_that_the_tree_finds_in_a_vma_before_it_has_no_place_there(m):
    page, _vma = beside_its_index(m)
    with m.measure() as cost:
        assert walked(m, page) == (Swap.AGAIN, [])
    assert cost.vmas_visited == 1
