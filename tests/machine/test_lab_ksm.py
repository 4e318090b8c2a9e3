# SPDX-License-Identifier: GPL-2.0-only
"""KSM pages over a stable node built by hand: first the places of the rmap_items, then what was forked from them."""

import pytest

from rmapemu import TTU, GoneError, KernelBug, Machine, Swap
from support.lab import START


@pytest.fixture
def ksm(machine, lab, rmap):
    """(page, node, [(mm, vma)...]): a KSM page mapped in two mms with an rmap_item each, and in a child of the first."""
    page = lab.page()
    node = lab.stable_node(page)
    places = []
    for _ in range(2):
        mm = lab.mm()
        vma = lab.vma(mm, START, 4)
        rmap.anon_vma_prepare(vma)
        lab.rmap_item(node, mm, START, vma.anon_vma)
        places.append((mm, vma))
    child = lab.mm()
    vma = lab.vma_dup(places[0][1], child)
    rmap.anon_vma_fork(vma, places[0][1])
    places.append((child, vma))
    for mm, vma in places:
        rmap.page_add_anon_rmap(page, vma, START)
        lab.get_page(page)
        lab.set_pte(mm, START, page, young=True)
        lab.rss(mm, "anon", 1)
    lab.lock_page(page)
    yield page, node, places
    if not machine.dead and not machine.closed:
        lab.unlock_page(page)


def visited(rmap, page, answer=Swap.AGAIN):
    seen = []
    got = rmap.rmap_walk(page, lambda page, vma, va: seen.append((vma.process.pid, va)) or answer)
    return got, seen


def test_own_places_come_before_forks_and_the_newest_item_first(rmap, ksm):
    page, _node, ((one, _), (two, _), (child, _)) = ksm
    assert visited(rmap, page) == (Swap.AGAIN, [(two.pid, START), (one.pid, START), (child.pid, START)])
    assert visited(rmap, page, Swap.FAIL) == (Swap.FAIL, [(two.pid, START)])


def test_the_dump_shows_nodes_and_items(machine, ksm):
    page, node, ((one, a), (two, b), _) = ksm
    dump = machine.dump()
    assert dump["pages"][page.pfn]["mapping"] == f"stable_node {node}"
    items = dump["stable_nodes"][node]["items"]
    assert [item[1:] for item in items] == [[two.pid, START, b.anon_vma], [one.pid, START, a.anon_vma]]
    assert dump["vmstat"]["nr_anon_pages"] == 1


def test_references_are_counted_through_the_general_function(machine, lab, rmap, ksm):
    page, _node, places = ksm
    young = machine.arch != "s390"
    with machine.measure() as cost:
        assert rmap.page_referenced_ksm(page)[0] == 3 * young
    assert cost.ptes_matched == 3
    for mm, _ in places:
        lab.set_pte(mm, START, page, young=True)
    lab.memcg(places[1][0], 4)
    assert rmap.page_referenced_ksm(page, 4)[0] == young
    assert rmap.page_referenced(page, True)[0] == (2 if young else 1)


def test_unmapping_visits_all_of_them(lab, rmap, ksm):
    page, _node, places = ksm
    lab.swapcache(page, 0, 9)
    assert rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert [lab.get_pte(mm, START).offset for mm, _ in places] == [9, 9, 9]
    assert lab.swap_count(0, 9) == 3 and page.mapcount == 0


def test_a_page_without_its_node_is_referenced_by_nobody_and_cannot_be_unmapped(machine, lab, rmap):
    page = lab.page("ksm")
    lab.lock_page(page)
    lab.mapcount(page, 1)
    assert rmap.page_referenced(page, True) == (0, 0)
    assert rmap.page_referenced_ksm(page)[0] == 0
    assert rmap.try_to_unmap(page) is Swap.FAIL
    assert rmap.rmap_walk(page, lambda *_: Swap.FAIL) is Swap.AGAIN
    assert machine.dump()["pages"][page.pfn]["mapping"] == "ksm"
    lab.mapcount(page, 0)
    lab.unlock_page(page)


def test_ksm_functions_want_a_locked_ksm_page(lab, rmap, anon, ksm):
    for call in (rmap.page_referenced_ksm, rmap.try_to_unmap_ksm):
        with pytest.raises(KernelBug, match="PageKsm"):
            call(anon[2])
        lab.revive()
    lab.unlock_page(ksm[0])
    assert rmap.page_referenced(ksm[0])[0] > 0
    with pytest.raises(KernelBug, match="PageLocked"):
        rmap.try_to_unmap_ksm(ksm[0])
    lab.revive()
    lab.hold("page", ksm[0])
    assert rmap.page_referenced(ksm[0])[0] == 1
    lab.release("page", ksm[0])
    lab.lock_page(ksm[0])


def test_an_item_keeps_its_anon_vma_until_it_is_removed(machine, lab, rmap):
    mm, page = lab.mm(), lab.page()
    vma = lab.vma(mm, START, 1)
    rmap.anon_vma_prepare(vma)
    serial, node = vma.anon_vma, lab.stable_node(page)
    item = lab.rmap_item(node, mm, START, serial)
    rmap.unlink_anon_vmas(vma)
    lab.vma_anon_vma(vma, None)
    assert machine.dump()["anon_vmas"][serial]["refcount"] == 1
    with pytest.raises(ValueError, match="rmap_items"):
        lab.stable_node_remove(node)
    lab.rmap_item_remove(item)
    lab.stable_node_remove(node)
    assert machine.dump()["anon_vmas"] == {} and machine.dump()["stable_nodes"] == {}
    for call, number in [(lab.rmap_item_remove, item), (lab.stable_node_remove, node)]:
        with pytest.raises(GoneError):
            call(number)


def test_a_machine_without_ksm_makes_no_such_page(arch):
    with Machine(arch, "16M", config={"ksm": False}) as m:
        for call in (lambda: m.lab.page("ksm"), lambda: m.lab.stable_node(m.lab.page())):
            with pytest.raises(ValueError, match="ksm"):
                call()


@pytest.mark.parametrize("kind", ["shmem", "regular"])
def test_a_page_cache_bent_by_hand_is_a_bug_and_no_endless_loop(machine, lab, kind):
    file = lab.file(4, kind)
    lab.stable_node(lab.file_page(file, 0))
    process = machine.spawn()
    vma = process.mmap(machine.page_size, flags="shared", file=file)
    with pytest.raises(KernelBug, match="page->mapping"):
        process.read(vma.start)
