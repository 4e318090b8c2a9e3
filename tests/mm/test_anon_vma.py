# SPDX-License-Identifier: GPL-2.0-only
"""Linking VMAs and anon_vmas: which lists, in which order, and who frees what."""

import pytest

from rmapemu import CheckError, GoneError, OutOfMemory
from support.lab import START, anon_vma, forked, lists, map_anon


def test_a_vma_prepared_twice_keeps_its_anon_vma(m, rmap):
    vma = anon_vma(m)
    first = vma.anon_vma
    rmap.anon_vma_prepare(vma)
    assert vma.chain == [first] and lists(m) == {first: [vma.serial]}


def test_a_neighbour_that_could_be_merged_shares_its_anon_vma(m, lab, rmap):
    left = anon_vma(m, 4)
    right = lab.vma(left.process, left.vm_end, 4)
    rmap.anon_vma_prepare(right)
    assert right.anon_vma == left.anon_vma and lists(m)[left.anon_vma] == [left.serial, right.serial]


def test_a_neighbour_that_was_forked_into_shares_nothing(m, lab, rmap):
    child = forked(m, anon_vma(m, 4))
    right = lab.vma(child.process, child.vm_end, 4)
    rmap.anon_vma_prepare(right)
    assert right.anon_vma not in child.chain


def test_a_child_is_last_on_its_parents_list_and_first_on_its_own(m):
    parent = anon_vma(m)
    child = forked(m, parent)
    grandchild = forked(m, child)
    assert grandchild.chain == [grandchild.anon_vma, child.anon_vma, parent.anon_vma]
    assert lists(m) == {
        parent.anon_vma: [parent.serial, child.serial, grandchild.serial],
        child.anon_vma: [child.serial, grandchild.serial],
        grandchild.anon_vma: [grandchild.serial],
    }


def test_a_whole_family_locks_the_root_of_the_first(m):
    parent = anon_vma(m)
    child = forked(m, parent)
    grandchild = forked(m, child)
    avs = m.dump()["anon_vmas"]
    assert {avs[one.anon_vma]["root"] for one in (parent, child, grandchild)} == {parent.anon_vma}
    assert avs[parent.anon_vma]["refcount"] == 3


def test_a_child_of_a_vma_without_anon_vma_gets_none(m, lab, rmap):
    parent = lab.vma(lab.mm(), START, 1)
    child = lab.vma_dup(parent, lab.mm())
    rmap.anon_vma_fork(child, parent)
    assert child.anon_vma is None and child.chain == []


def test_a_split_half_is_linked_to_the_same_anon_vmas_in_the_same_order(m, lab, rmap):
    child = forked(m, anon_vma(m, 4))
    half = lab.vma_dup(child, start=START + 0x100000)
    rmap.anon_vma_clone(half, child)
    assert half.chain == child.chain and half.anon_vma == child.anon_vma


def test_the_root_outlives_its_own_vma_while_a_child_needs_its_lock(m, rmap):
    parent = anon_vma(m)
    child = forked(m, parent)
    rmap.unlink_anon_vmas(parent)
    assert lists(m)[parent.anon_vma] == [child.serial]
    rmap.unlink_anon_vmas(child)
    assert lists(m) == {}


@pytest.mark.parametrize("gfp", [0, 0xD0])
def test_a_clone_retries_with_the_root_unlocked_when_the_first_allocation_fails(m, lab, rmap, gfp):
    parent = forked(m, anon_vma(m))
    child = lab.vma_dup(parent, lab.mm())
    lab.fail_alloc(2, kind="anon_vma_chain", gfp=gfp)
    with m.measure() as cost:
        rmap.anon_vma_clone(child, parent)
    # nothing without __GFP_WAIT fails where only such calls are to fail
    assert cost.locks["anon_vma"] == (2 if gfp == 0 else 1)
    assert child.chain == parent.chain
    lab.fail_alloc(0)


@pytest.mark.parametrize("kind", ["anon_vma", "anon_vma_chain"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_fork_that_lacks_memory_leaves_nothing_linked(m, lab, rmap, kind, nth):
    parent = forked(m, anon_vma(m))
    child = lab.vma_dup(parent, lab.mm())
    before = m.dump()["anon_vmas"]
    lab.fail_alloc(nth, count=2, kind=kind)
    try:
        rmap.anon_vma_fork(child, parent)
    except OutOfMemory:
        assert child.chain == [] and m.dump()["anon_vmas"] == before
    else:
        assert kind == "anon_vma" and nth > 1 and len(child.chain) == 3
    lab.fail_alloc(0)


def test_a_page_gives_its_anon_vma_only_while_it_is_mapped(m, lab, rmap):
    vma = anon_vma(m)
    page = map_anon(m, vma, START)
    assert rmap.page_get_anon_vma(page) == vma.anon_vma
    assert m.dump()["anon_vmas"][vma.anon_vma]["refcount"] == 2
    rmap.put_anon_vma(vma.anon_vma)
    lab.mapcount(page, 0)
    assert rmap.page_get_anon_vma(page) is None and rmap.page_lock_anon_vma(page) is None


def test_each_look_at_a_page_is_one_read_side_section(m, rmap):
    page = map_anon(m, anon_vma(m), START)
    with m.measure() as cost:
        rmap.put_anon_vma(rmap.page_get_anon_vma(page))
        rmap.page_unlock_anon_vma(rmap.page_lock_anon_vma(page))
    assert cost.rcu_read_lock == 2 and cost.locks["anon_vma"] == 1


def test_an_anon_vma_freed_and_taken_again_is_the_same_memory_under_a_new_name(m, lab, rmap):
    vma = anon_vma(m)
    page, old = map_anon(m, vma, START), vma.anon_vma
    rmap.unlink_anon_vmas(vma)
    lab.vma_anon_vma(vma, None)
    rmap.anon_vma_prepare(vma)
    assert vma.anon_vma != old and page.anon_vma == vma.anon_vma


def test_the_last_reference_that_others_had_goes_while_a_lookup_waits_for_the_mutex(m, lab, rmap):
    ours = rmap.anon_vma_alloc()
    page, item = lab.page(), lab.rmap_item(lab.stable_node(lab.page("ksm")), lab.mm(), START, ours)
    rmap.put_anon_vma(ours)
    lab.mapping(page, ours)
    lab.mapcount(page, 1)
    lab.hold("anon_vma", ours)

    def merged_no_more(lock, owner):
        lab.rmap_item_remove(item)
        lab.release(lock, owner)
        return True

    lab.on_block(merged_no_more)
    assert rmap.page_lock_anon_vma(page) is None
    lab.on_block(None)
    assert ours not in m.dump()["anon_vmas"] and lab.locks_held() == []


def test_an_anon_vma_that_is_freed_twice_by_a_lie_leaves_a_state_that_can_be_read(m, lab, rmap):
    own, liar = (lab.vma(lab.mm(), 0x200000, 1) for _ in range(2))
    rmap.anon_vma_prepare(own)
    serial = own.anon_vma
    lab.vma_anon_vma(liar, serial)
    rmap.unlink_anon_vmas(own)
    # its copy's root is one that is gone
    copy = lab.vma_dup(liar, lab.mm())
    rmap.anon_vma_fork(copy, liar)
    rmap.unlink_anon_vmas(copy)
    assert serial not in lab.state()["anon_vmas"]
    with pytest.raises(GoneError):
        rmap.get_anon_vma(serial)
    with pytest.raises(CheckError, match="its anon_vma is not in its chain"):
        m.check()
