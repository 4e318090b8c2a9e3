# SPDX-License-Identifier: GPL-2.0-only
"""Locks as state: who waits for whom, what is noted as held, and what is free again when a wait is given up."""

import numpy as np
import pytest

from rmapemu import KernelBug, LockOrderError, Machine, WouldBlock
from rmapemu.machine.timing import Timing
from support.lab import START, anon_vma, map_anon


@pytest.fixture
def process(m):
    """One page of its own at START, written; behind it a page of a file that it has not read yet."""
    made, file = m.spawn("init"), m.file(m.page_size)
    made.mmap(m.page_size, flags="private|fixed|anonymous", addr=START)
    made.write(START, 7)
    made.mmap(m.page_size, "r", "shared|fixed", file=file, addr=START + m.page_size)
    m.lab.file_page(file, 0)
    return made


def read_file(m, process):
    process.read(START + m.page_size)
    assert process.page_at(START + m.page_size) is not None


def fork(m, process):
    assert process.fork().read(START) == 7


def munmap(m, process):
    process.munmap(START + m.page_size, m.page_size)
    assert process.vma_at(START + m.page_size) is None


# lock, mode, who waits
WAITS = [("ptl", "w", fork), ("pte lock", "w", fork), ("mmap_sem", "w", fork), ("mmap_sem", "r", munmap), ("mmap_sem", "w", read_file),
         ("page", "w", read_file)]


@pytest.fixture(params=WAITS, ids=lambda wait: f"{wait[0]} {wait[1]} {wait[2].__name__}")
def wait(m, process, request):
    """(the lock, its owner, an operation that waits for it), somebody else holding the lock."""
    lock, mode, operation = request.param
    owner = process.vma_at(START + m.page_size).file.page(0) if lock == "page" else process
    if lock == "pte lock":
        lock, owner = "ptl", (process, START)
    m.lab.hold(lock, owner, mode)
    return lock, owner, operation


def test_who_waits_goes_on_when_the_lock_is_free(m, lab, process, wait):
    lock, owner, operation = wait
    asked = []
    lab.on_block(lambda *what: asked.append(what) or lab.release(*what) or True)
    operation(m, process)
    assert asked == [(lock, owner)] and lab.locks_held() == []


def test_who_gives_up_waiting_has_let_go_of_all_it_held(m, lab, process, wait):
    lock, owner, operation = wait
    with pytest.raises(WouldBlock, match=lock):
        operation(m, process)
    assert lab.locks_held() == []
    lab.release(lock, owner)
    assert process.read(START) == 7
    process.mprotect(START, m.page_size, "r")


def test_readers_of_mmap_sem_do_not_wait_for_each_other(m, lab, process):
    lab.hold("mmap_sem", process, "r")
    read_file(m, process)
    with m.measure() as cost:
        process.read(START)
    assert cost.trylock_failed_mmap_sem == 0


def test_a_page_that_is_locked_by_nobody_else_is_a_deadlock(m, lab, process):
    lab.lock_page(process.vma_at(START + m.page_size).file.page(0))
    with pytest.raises(KernelBug, match="is held already") as caught:
        read_file(m, process)
    assert caught.value.kind == "deadlock"


@pytest.fixture
def trees(m):
    """Four pages, each of an anon_vma of its own."""
    return [map_anon(m, anon_vma(m), START) for _ in range(4)]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]])
def test_locks_of_one_class_that_were_tried_for_are_let_go_of_in_any_order(lab, rmap, trees, order):
    held = {rmap.page_lock_anon_vma(page) for page in trees}
    assert {owner for _lock, owner in lab.locks_held()} == held == {page.anon_vma for page in trees}
    for i in order:
        rmap.page_unlock_anon_vma(trees[i].anon_vma)
        held.remove(trees[i].anon_vma)
        assert {owner for _lock, owner in lab.locks_held()} == held


def test_a_third_of_one_class_may_be_tried_for_but_not_waited_for(lab, rmap, trees):
    for page in trees[:2]:
        rmap.page_lock_anon_vma(page)
    with pytest.raises(LockOrderError, match="anon_vma"):
        rmap.anon_vma_lock(trees[2].anon_vma)


def test_more_locks_than_can_be_noted_are_a_bug(m, lab, rmap):
    pages = [map_anon(m, anon_vma(m), START) for _ in range(80)]
    with pytest.raises(KernelBug, match="MAX_LOCK_DEPTH"):
        list(map(rmap.page_lock_anon_vma, pages))
    assert len(lab.locks_held()) == 49


def test_a_wait_with_many_locks_of_one_class_lets_go_of_them_all(m, lab, rmap, trees):
    vma = trees[3].mappers()[0].vma
    for page in trees[:3]:
        rmap.page_lock_anon_vma(page)
    lab.hold("ptl", (vma.process, START))
    with pytest.raises(WouldBlock, match="ptl"):
        rmap.page_mapped_in_vma(trees[3], vma)
    assert lab.locks_held() == []
    assert [rmap.page_lock_anon_vma(page) for page in trees[:3]] == [page.anon_vma for page in trees[:3]]


@pytest.fixture(params=[True, False], ids=["split", "one"])
def tables(arch, request):
    """A machine with split page table locks or without; a process with pages in leaf tables of two frames; where the second one is."""
    m = Machine(arch, memory="16M", config={"split_ptlocks": request.param})
    process, far = m.spawn("init"), 1 << 22
    for at in (START, START + far // 2, START + far):
        process.mmap(m.page_size, flags="private|fixed|anonymous", addr=at)
        process.write(at)
    yield m, process, START + far, request.param
    m.close()


def test_with_split_locks_each_leaf_table_has_its_own(tables):
    m, process, other, split = tables
    page = process.page_at(START)
    m.lab.hold("ptl", (process, other))
    vma = process.vma_at(START)
    if split:
        assert m.rmap.page_mapped_in_vma(page, vma)
        vma, page = process.vma_at(other), process.page_at(other)
    with pytest.raises(WouldBlock, match="ptl"):
        m.rmap.page_mapped_in_vma(page, vma)
    m.lab.release("ptl", (process, other))
    assert m.rmap.page_mapped_in_vma(page, vma)


def test_with_split_locks_page_table_lock_guards_no_entry_but_the_first_anon_vma(tables):
    m, process, other, split = tables
    m.lab.hold("page_table_lock", process)
    page, vma = process.page_at(other), process.vma_at(other)
    if split:
        assert m.rmap.page_mapped_in_vma(page, vma)
    else:
        with pytest.raises(WouldBlock, match="ptl"):
            m.rmap.page_mapped_in_vma(page, vma)
    new = m.lab.vma(process, START + (1 << 24), 1)
    with pytest.raises(WouldBlock, match="ptl"):
        m.rmap.anon_vma_prepare(new)


@pytest.mark.parametrize("lock", ["ptl", "page_table_lock"])
def test_who_waits_for_page_table_lock_is_told_which_hold_it_is_that_keeps_it(tables, lock):
    m, process, _other, _split = tables
    asked = []
    m.lab.on_block(lambda *what: asked.append(what) or m.lab.release(*what) or True)
    m.lab.hold(lock, process)
    with pytest.raises(ValueError, match="is held already"):
        m.lab.hold("ptl", process)
    m.rmap.anon_vma_prepare(m.lab.vma(process, START + (1 << 24), 1))
    assert asked == [(lock, process)]
    with pytest.raises(ValueError, match="is not held"):
        m.lab.release(lock, process)


def test_two_leaf_tables_of_one_frame_share_its_lock():
    with Machine("s390", memory="16M") as m:
        process = m.spawn("init")
        for at in (START, START + (1 << 20)):
            process.mmap(m.page_size, flags="private|fixed|anonymous", addr=at)
            process.write(at)
        m.lab.hold("ptl", (process, START))
        with pytest.raises(WouldBlock, match="ptl"):
            m.rmap.page_mapped_in_vma(process.page_at(START + (1 << 20)), process.vma_at(START + (1 << 20)))


def nobody_holds_a_lock(m):
    """Timing refuses a machine in which somebody does."""
    process = m.spawn("other")
    area = process.mmap(m.page_size)
    process.write(area.start)
    pfn = np.array([process.page_at(area.start).pfn], np.uint32)
    return Timing(m).referenced(pfn)[1] >= 0


def test_a_lock_that_goes_with_its_table_is_held_by_nobody(tables):
    """Taken when the tables' entries are gone already: what goes next is the tables."""
    m, process, other, _split = tables
    file = m.file(m.page_size)
    process.mmap(m.page_size, flags="shared|fixed", file=file, addr=START - m.page_size)
    m.lab.hold("i_mmap_mutex", file)

    def taken(lock, owner):
        m.lab.hold("ptl", (process, other))
        m.lab.release(lock, owner)
        return True

    m.lab.on_block(taken)
    process.exit()
    assert nobody_holds_a_lock(m)
    m.check()


@pytest.mark.parametrize("end", ["exit", "exec"])
def test_a_lock_that_goes_with_its_mm_is_held_by_nobody(tables, end):
    m, process, _other, split = tables
    if split:
        m.lab.hold("page_table_lock", process)
        getattr(process, end)()
        assert nobody_holds_a_lock(m)


def test_the_private_of_a_frame_of_page_tables_is_a_lock_and_no_place_for_numbers(m, lab, process):
    table = m.page(process.root // m.page_size)
    with pytest.raises(ValueError, match="holds page tables"):
        lab.private(table, 2)
    with pytest.raises(ValueError, match="holds page tables"):
        lab.swapcache(table, 0, 5)
