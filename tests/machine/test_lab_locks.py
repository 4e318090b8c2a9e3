# SPDX-License-Identifier: GPL-2.0-only
"""Locks held by someone else, of every kind: what fails, what waits, and what a callback can do about it."""

import pytest

from rmapemu import TTU, KernelBug, Swap, VmFlag, WouldBlock
from support.lab import START


def test_a_lock_that_is_one_of_a_kind_blocks_whoever_wants_it(machine, lab, rmap, anon):
    mm, _vma, page = anon
    lab.swapcache(page, 0, 3)
    lab.lock_page(page)
    lab.hold("mmlist_lock")
    with pytest.raises(ValueError, match="already"):
        lab.hold("mmlist_lock")
    with pytest.raises(WouldBlock, match="mmlist_lock"):
        rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS)
    assert lab.locks_held() == []
    lab.release("mmlist_lock")
    with pytest.raises(ValueError, match="not held"):
        lab.release("mmlist_lock")
    # the call was abandoned half way: the entry is gone, its counters are as they were
    assert lab.get_pte(mm, START).kind == "none" and page.mapcount == 1
    lab.set_pte(mm, START, page)
    lab.swap_count(0, 3, 0)
    lab.unlock_page(page)


@pytest.mark.parametrize("lock", ["lru_lock", "swap_lock", "tree_lock"])
def test_a_callback_frees_it_and_the_operation_goes_on(machine, lab, lock):
    asked = []
    lab.on_block(lambda name, owner: asked.append((name, owner)) or lab.release(name) or True)
    process = machine.spawn()
    heap = process.mmap(4 * machine.page_size, file=machine.file(1 << 16)) if lock == "tree_lock" else process.mmap(1 << 16)
    lab.hold(lock)
    if lock == "swap_lock":
        with pytest.raises(ValueError, match="owner"):
            lab.hold("swap_lock", process)
        process.write(heap.start)
        page = process.page_at(heap.start)
        lab.lock_page(page)
        lab.swapcache(page, 0, 3)
        assert machine.rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.SUCCESS
        lab.unlock_page(page)
    else:
        process.read(heap.start) if lock == "tree_lock" else process.write(heap.start)
    assert asked == [(lock, None)]
    lab.on_block(None)


def test_a_failed_trylock_of_the_anon_vma_pins_it_and_waits(machine, lab, rmap, anon):
    _mm, vma, page = anon
    lab.hold("anon_vma", vma)
    seen = []

    def free(lock, owner):
        seen.append((lock, owner, machine.dump()["anon_vmas"][owner]["refcount"]))
        lab.release(lock, owner)
        return True

    lab.on_block(free)
    with machine.measure() as cost:
        assert rmap.page_referenced(page)[0] == 1
    assert seen == [("anon_vma", vma.anon_vma, 2)]
    assert cost.trylock_failed_anon_vma == 1 and machine.dump()["anon_vmas"][vma.anon_vma]["refcount"] == 1
    lab.on_block(None)


def test_the_last_reference_may_go_while_it_waits(machine, lab, rmap):
    mm, page = lab.mm(), lab.page()
    vma = lab.vma(mm, START, 1)
    rmap.anon_vma_prepare(vma)
    serial = vma.anon_vma
    lab.mapping(page, serial)
    lab.mapcount(page, 1)
    lab.hold("anon_vma", serial)

    def everyone_leaves(lock, owner):
        lab.release(lock, owner)
        lab.on_block(None)
        lab.mapcount(page, 0)
        return True

    lab.on_block(everyone_leaves)
    # without other references, the pin of the slow path is the last one
    rmap.get_anon_vma(serial)
    rmap.put_anon_vma(serial)
    assert rmap.page_lock_anon_vma(page) == serial
    rmap.page_unlock_anon_vma(serial)


def test_whoever_prepares_second_gives_its_anon_vma_back(machine, lab, rmap):
    mm = lab.mm()
    vma = lab.vma(mm, START, 1)
    other = rmap.anon_vma_alloc()
    entry = rmap.anon_vma_chain_alloc()
    lab.hold("ptl", mm)

    def raced(lock, owner):
        lab.vma_anon_vma(vma, other)
        lab.release(lock, owner)
        return True

    lab.on_block(raced)
    live = machine.dump()["machine"]["live"]
    rmap.anon_vma_prepare(vma)
    assert vma.anon_vma == other and machine.dump()["machine"]["live"] == live
    lab.on_block(None)
    rmap.anon_vma_chain_link(vma, entry, other)


def test_a_file_page_locked_by_another_counts_as_referenced(lab, rmap, shared):
    page = shared[2]
    lab.hold("page", page)
    assert rmap.page_referenced(page) == (1, 0)
    lab.release("page", page)


def test_the_swap_token_protects_whoever_faults_and_is_not_running(machine, lab, rmap, anon):
    mm, _vma, page = anon
    lab.set_pte(mm, START, page)
    assert rmap.page_referenced_anon(page)[0] == 0
    lab.set_swap_token(mm)
    assert rmap.page_referenced_anon(page)[0] == 0
    lab.hold("mmap_sem", mm, "r")
    assert rmap.page_referenced_anon(page)[0] == 1
    lab.set_current(mm)
    assert rmap.page_referenced_anon(page)[0] == 0
    assert machine.dump()["machine"]["swap_token"] == mm.pid
    lab.release("mmap_sem", mm)
    lab.set_swap_token(None)
    lab.set_current(None)


def test_the_high_water_mark_is_noted_before_rss_drops(lab, rmap, shared):
    mm, _vma, page = shared
    lab.lock_page(page)
    lab.rss(mm, "anon", 5)
    assert lab.hiwater_rss(mm) == 0
    assert rmap.try_to_unmap(page, TTU.IGNORE_ACCESS) is Swap.SUCCESS
    assert lab.hiwater_rss(mm) == 6 and lab.rss(mm, "file") == 0
    lab.unlock_page(page)
    lab.rss(mm, "anon", 0)


def test_a_cluster_of_a_locked_vma_wants_every_page_locked(arch):
    from rmapemu import Machine

    flags = VmFlag.READ | VmFlag.SHARED | VmFlag.NONLINEAR | VmFlag.LOCKED
    for fixed in (False, True):
        with Machine(arch, "16M", config={"cluster_mlock_fix": fixed}) as m:
            lab, file = m.lab, m.lab.file(4, "shmem")
            vma = lab.vma(lab.mm(), START, 4, flags, 0, file)
            pages = [lab.file_page(file, i) for i in range(2)]
            for i, page in enumerate(pages):
                m.rmap.page_add_file_rmap(page)
                lab.get_page(page)
                lab.set_pte(vma.process, START + i * m.page_size, page)
            lab.lock_page(pages[0])
            if fixed:
                assert m.rmap.try_to_unmap_cluster(0, 2, vma, pages[0]) == (Swap.MLOCK, 2)
                assert all("mlocked" in str(page.flags) for page in pages)
            else:
                with pytest.raises(KernelBug, match="PageLocked") as caught:
                    m.rmap.try_to_unmap_cluster(0, 2, vma, pages[0])
                assert caught.value.function == "mlock_vma_page"


def test_what_the_bench_makes_while_another_of_its_operations_waits_costs_nothing_either(machine, lab):
    file, mm = lab.file(8), lab.mm()
    lab.hold("i_mmap_mutex", file)

    def more(lock, owner):
        for _ in range(3):
            lab.stable_node_remove(lab.stable_node(lab.page("ksm")))
        lab.release(lock, owner)
        return True

    lab.on_block(more)
    lab.vma(mm, START, 4, VmFlag.READ | VmFlag.SHARED, file=file)
    cost = machine.cost
    assert (cost.objects_allocated, cost.objects_freed, cost.bytes_allocated, cost.bytes_freed) == (0, 0, 0, 0)
