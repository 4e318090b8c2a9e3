# SPDX-License-Identifier: GPL-2.0-only
"""Locks as state: who waits for whom, what is noted as held, and what is free again when a wait is given up."""

import pytest

from rmapemu import KernelBug, LockOrderError, WouldBlock
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
WAITS = [("ptl", "w", fork), ("mmap_sem", "w", fork), ("mmap_sem", "r", munmap), ("mmap_sem", "w", read_file), ("page", "w", read_file)]


@pytest.fixture(params=WAITS, ids=lambda wait: f"{wait[0]} {wait[1]} {wait[2].__name__}")
def wait(m, process, request):
    """(the lock, its owner, an operation that waits for it), somebody else holding the lock."""
    lock, mode, operation = request.param
    owner = process.vma_at(START + m.page_size).file.page(0) if lock == "page" else process
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
    lab.hold("ptl", vma.process)
    with pytest.raises(WouldBlock, match="ptl"):
        rmap.page_mapped_in_vma(trees[3], vma)
    assert lab.locks_held() == []
    assert [rmap.page_lock_anon_vma(page) for page in trees[:3]] == [page.anon_vma for page in trees[:3]]
