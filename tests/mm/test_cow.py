# SPDX-License-Identifier: GPL-2.0-only
"""Copy on write: who copies, who reuses, and where the page belongs afterwards. Kernel: mm/memory.c (do_wp_page)."""

import pytest

from rmapemu import Machine
from rmapemu.errors import OutOfMemory


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


@pytest.fixture
def heap(m, init):
    area = init.mmap(4 * m.page_size)
    init.write(area.start, 7)
    return area


def test_fork_shares_the_page_read_only_in_both(init, heap):
    child = init.fork()
    page = init.page_at(heap.start)
    assert child.page_at(heap.start) == page
    assert (page.mapcount, page.count) == (2, 2)
    assert not init.pte_at(heap.start).write
    assert not child.pte_at(heap.start).write


def test_the_first_to_store_copies_the_content(init, heap):
    child = init.fork()
    old = init.page_at(heap.start)
    child.write(heap.start)
    assert child.page_at(heap.start) != old
    assert child.read(heap.start) == 7
    child.write(heap.start, 8)
    assert (init.read(heap.start), child.read(heap.start)) == (7, 8)
    assert (old.mapcount, child.page_at(heap.start).mapcount) == (1, 1)


def test_a_copy_belongs_to_the_childs_own_anon_vma(init, heap):
    child = init.fork()
    child.write(heap.start)
    assert child.page_at(heap.start).anon_vma == child.vma_at(heap.start).anon_vma
    assert init.page_at(heap.start).anon_vma == heap.anon_vma


def test_the_last_to_store_keeps_the_page(init, heap):
    child = init.fork()
    old = init.page_at(heap.start)
    child.write(heap.start)
    init.write(heap.start)
    assert init.page_at(heap.start) == old
    assert init.pte_at(heap.start).write


def test_a_page_that_is_reused_moves_to_the_storers_anon_vma(init, heap):
    child = init.fork()
    old = init.page_at(heap.start)
    init.write(heap.start)  # copies: the old page is the child's alone now
    assert old.anon_vma == init.vma_at(heap.start).anon_vma
    child.write(heap.start)
    assert child.page_at(heap.start) == old
    assert old.anon_vma == child.vma_at(heap.start).anon_vma


def test_a_child_that_exits_leaves_the_page_exclusive(m, init, heap):
    child = init.fork()
    child.exit()
    page = init.page_at(heap.start)
    init.write(heap.start)
    assert init.page_at(heap.start) == page


def test_copying_costs_one_page_flush_of_the_old_translation(m, init, heap):
    child = init.fork()
    with m.measure() as cost:
        child.write(heap.start)
    assert cost.tlb_flush_page == 1
    assert cost.cache_flush_page == 1


def test_a_failed_copy_leaves_the_shared_page_as_it_was(m, init, heap):
    child = init.fork()
    page = init.page_at(heap.start)
    m.lab.fail_alloc(1, kind="page")
    with pytest.raises(OutOfMemory):
        child.write(heap.start)
    assert (child.page_at(heap.start), page.mapcount, page.count) == (page, 2, 2)
    child.write(heap.start)
    assert child.page_at(heap.start) != page


def test_a_private_copy_of_a_file_page_is_anonymous(m, init):
    file = m.file(m.page_size)
    file.write(0, m.page_size, 3)
    area = init.mmap(m.page_size, file=file)
    assert init.read(area.start) == 3
    assert init.rss == {"file": 1, "anon": 0, "swap": 0}
    init.write(area.start, 4)
    assert init.rss == {"file": 0, "anon": 1, "swap": 0}
    assert file.page(0).mapcount == 0
    assert file.page(0).token == 3
