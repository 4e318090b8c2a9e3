# SPDX-License-Identifier: GPL-2.0-only
"""Where the reverse map asks for memory, and what is left when there is none: nothing."""

import errno
import inspect

import pytest

from rmapemu import Machine, OutOfMemory, Swap, VmFlag
from support.lab import RW, SHARED, START, anon_vma, count_rss, forked, map_anon, map_file

HUGE = 0x40000000
NOT_OPERATIONS = {"machine", "anon_vma_init", "page_mapped"}


class Bench:
    """A page of every kind, and its VMAs."""

    def __init__(self, m):
        lab, rmap = m.lab, m.rmap
        self.m, self.size = m, 512 * 4096
        self.vma = anon_vma(m)
        self.page = map_anon(m, self.vma, START, young=False, dirty=False)
        self.child = forked(m, self.vma)
        map_anon(m, self.child, START, self.page, young=False, dirty=False)
        for vma in self.vma, self.child:
            lab.hiwater_rss(vma.process, 9)
        lab.swapcache(self.page, 0, 5)
        self.swapped_out(0x3e)
        self.new, self.grandchild = lab.vma(lab.mm(), START, 4), lab.vma_dup(self.child, lab.mm())
        lab.vma_anon_vma(self.grandchild, None)
        self.file = lab.file(64)
        self.filed = lab.vma(lab.mm(), START, 8, SHARED, 0, self.file)
        self.file_page = map_file(m, self.filed, 2)
        self.nonlinear = lab.vma(lab.mm(), START, 8, SHARED | VmFlag.NONLINEAR, 0, self.file)
        map_file(m, self.nonlinear, 2, self.file_page, address=START)
        self.ksm = lab.page("ksm")
        node = lab.stable_node(self.ksm)
        lab.rmap_item(node, self.vma.process, START + 4096, self.vma.anon_vma)
        lab.set_pte(self.vma.process, START + 4096, self.ksm)
        rmap.page_add_anon_rmap(self.ksm, self.vma, START + 4096)
        count_rss(m, self.vma.process, "anon")
        self.huge_vma = anon_vma(m, 1024, flags=RW | VmFlag.HUGETLB, start=HUGE)
        self.huge, self.thp, self.plain = lab.page("huge"), lab.page("thp"), lab.page()
        lab.set_pmd(self.huge_vma.process, HUGE, self.huge)
        rmap.hugepage_add_new_anon_rmap(self.huge, self.huge_vma, HUGE)
        for page in self.page, self.file_page, self.ksm, self.huge, self.plain:
            lab.lock_page(page)
            lab.get_page(page)
            lab.get_page(page)
        lab.lru(self.page, None)
        self.av = self.vma.anon_vma
        self.spare, self.entry = rmap.anon_vma_alloc(), rmap.anon_vma_chain_alloc()

    def swapped_out(self, n):
        """The page, at n places: its slot's count has no room in its byte any more."""
        vma = anon_vma(self.m, n)
        for i in range(n):
            self.m.lab.set_pte(vma.process, START + i * 4096, swap=(0, 5))
        self.m.lab.swap_count(0, 5, n)
        self.m.lab.rss(vma.process, "swap", n)
        self.m.lab.mmlist_add(vma.process)

    def locked(self):
        self.m.rmap.anon_vma_lock(self.av)
        return self.av


CALLS = {
    "anon_vma_alloc": lambda b, r: r.anon_vma_alloc(),
    "anon_vma_chain_alloc": lambda b, r: r.anon_vma_chain_alloc(),
    "anon_vma_prepare": lambda b, r: r.anon_vma_prepare(b.new),
    "anon_vma_clone": lambda b, r: r.anon_vma_clone(b.grandchild, b.child),
    "anon_vma_fork": lambda b, r: r.anon_vma_fork(b.grandchild, b.child),
    "try_to_unmap": lambda b, r: r.try_to_unmap(b.page),
    "try_to_unmap_anon": lambda b, r: r.try_to_unmap_anon(b.page),
    "try_to_unmap_one": lambda b, r: r.try_to_unmap_one(b.page, b.vma, START),
}
"""What asks for memory, in a state in which it does."""
SITES = {"anon_vma_alloc": 1, "anon_vma_chain_alloc": 1, "anon_vma_prepare": 2, "anon_vma_clone": 2, "anon_vma_fork": 4}
"""How often, where it is not once: a refused chain entry of a clone is asked for a second time, which is not counted here."""
QUIET = {
    "anon_vma_chain_free": lambda b, r: r.anon_vma_chain_free(b.entry),
    "anon_vma_chain_link": lambda b, r: r.anon_vma_chain_link(b.new, b.entry, b.av),
    "anon_vma_ctor": lambda b, r: r.anon_vma_ctor(b.spare),
    "anon_vma_free": lambda b, r: (r.anon_vma_ctor(b.spare), r.anon_vma_free(b.spare)),
    "anon_vma_lock": lambda b, r: r.anon_vma_lock(b.av),
    "anon_vma_unlock": lambda b, r: r.anon_vma_unlock(b.locked()),
    "get_anon_vma": lambda b, r: r.get_anon_vma(b.av),
    "put_anon_vma": lambda b, r: r.put_anon_vma(b.spare),
    "put_anon_vma_last": lambda b, r: (r.anon_vma_ctor(b.spare), r.put_anon_vma_last(b.spare)),
    "lock_anon_vma_root": lambda b, r: r.lock_anon_vma_root(None, b.av),
    "unlock_anon_vma_root": lambda b, r: r.unlock_anon_vma_root(b.locked()),
    "unlink_anon_vmas": lambda b, r: r.unlink_anon_vmas(b.child),
    "page_get_anon_vma": lambda b, r: r.page_get_anon_vma(b.page),
    "page_lock_anon_vma": lambda b, r: r.page_lock_anon_vma(b.page),
    "page_unlock_anon_vma": lambda b, r: r.page_unlock_anon_vma(b.locked()),
    "vma_address": lambda b, r: r.vma_address(b.page, b.vma),
    "page_address_in_vma": lambda b, r: r.page_address_in_vma(b.page, b.vma),
    "page_check_address": lambda b, r: r.page_check_address(b.page, b.vma.process, START),
    "page_check_address_pmd": lambda b, r: r.page_check_address_pmd(b.huge, b.huge_vma.process, HUGE),
    "page_mapped_in_vma": lambda b, r: r.page_mapped_in_vma(b.page, b.vma),
    "is_vma_temporary_stack": lambda b, r: r.is_vma_temporary_stack(b.vma),
    "page_referenced": lambda b, r: [r.page_referenced(page, True) for page in (b.page, b.file_page, b.ksm)],
    "page_referenced_one": lambda b, r: r.page_referenced_one(b.page, b.vma, START, 1),
    "page_referenced_anon": lambda b, r: r.page_referenced_anon(b.page),
    "page_referenced_file": lambda b, r: r.page_referenced_file(b.file_page),
    "page_referenced_ksm": lambda b, r: r.page_referenced_ksm(b.ksm),
    "page_mkclean": lambda b, r: r.page_mkclean(b.file_page),
    "page_mkclean_one": lambda b, r: r.page_mkclean_one(b.file_page, b.filed, START + 2 * 4096),
    "page_mkclean_file": lambda b, r: r.page_mkclean_file(b.file, b.file_page),
    "page_add_anon_rmap": lambda b, r: r.page_add_anon_rmap(b.page, b.vma, START),
    "do_page_add_anon_rmap": lambda b, r: r.do_page_add_anon_rmap(b.plain, b.vma, START, True),
    "page_add_new_anon_rmap": lambda b, r: r.page_add_new_anon_rmap(b.plain, b.vma, START),
    "page_add_file_rmap": lambda b, r: r.page_add_file_rmap(b.file_page),
    "page_dup_rmap": lambda b, r: r.page_dup_rmap(b.page),
    "page_set_anon_rmap": lambda b, r: r.page_set_anon_rmap(b.plain, b.vma, START, False),
    "page_check_anon_rmap": lambda b, r: r.page_check_anon_rmap(b.page, b.vma, START),
    "page_move_anon_rmap": lambda b, r: r.page_move_anon_rmap(b.page, b.vma, START),
    "page_remove_rmap": lambda b, r: [r.page_remove_rmap(page) for page in (b.page, b.page, b.file_page, b.ksm)],
    "hugepage_set_anon_rmap": lambda b, r: r.hugepage_set_anon_rmap(b.huge, b.huge_vma, HUGE, True),
    "hugepage_add_anon_rmap": lambda b, r: r.hugepage_add_anon_rmap(b.huge, b.huge_vma, HUGE),
    "hugepage_add_new_anon_rmap": lambda b, r: r.hugepage_add_new_anon_rmap(b.huge, b.huge_vma, HUGE),
    "try_to_unmap_file": lambda b, r: r.try_to_unmap_file(b.file_page),
    "try_to_unmap_ksm": lambda b, r: r.try_to_unmap_ksm(b.ksm, 1),
    "try_to_unmap_cluster": lambda b, r: r.try_to_unmap_cluster(0, 1, b.nonlinear, b.file_page),
    "try_to_munlock": lambda b, r: [r.try_to_munlock(page) for page in (b.page, b.file_page, b.ksm)],
    "rmap_walk": lambda b, r: r.rmap_walk(b.page, lambda *_: None),
    "rmap_walk_anon": lambda b, r: r.rmap_walk_anon(b.page, lambda *_: None),
    "rmap_walk_file": lambda b, r: r.rmap_walk_file(b.file_page, lambda *_: None),
    "rmap_walk_ksm": lambda b, r: r.rmap_walk_ksm(b.ksm, lambda *_: None),
}
"""What never does."""


@pytest.fixture
def bench():
    with Machine("x86_64", "16M", swap="1M") as m:
        b = Bench(m)
        yield b


def remembered(b):
    """All that must be as it was."""
    state = b.m.lab.state()
    return {k: v for k, v in state.items() if k not in ("cost", "allocated", "fail", "warnings")}


def test_every_operation_is_in_one_of_the_two_tables(bench):
    names = {name for name, _ in inspect.getmembers(type(bench.m.rmap)) if not name.startswith("_")}
    assert names - NOT_OPERATIONS == CALLS.keys() | QUIET.keys()
    assert not CALLS.keys() & QUIET.keys()


@pytest.mark.parametrize("name", QUIET)
def test_what_needs_no_memory_asks_for_none(bench, name):
    bench.m.lab.fail_alloc(1, 1000)
    QUIET[name](bench, bench.m.rmap)
    assert bench.m.lab.fail_alloc(0) == 0


def refused(name, nth, count):
    """A call in a fresh state, its nth allocation and those after it refused: (were any, its result or error, what is left of it)."""
    with Machine("x86_64", "16M", swap="1M") as m:
        b = Bench(m)
        kept = remembered(b)
        before = m.lab.fail_alloc(nth, count)
        try:
            result = CALLS[name](b, m.rmap)
        except OutOfMemory as no_memory:
            result = no_memory.errno
        failed = m.lab.fail_alloc(0) != before
        m.check()
        return failed, result, remembered(b) == kept


@pytest.mark.parametrize("name", CALLS)
def test_each_allocation_can_fail_and_nothing_is_left_of_the_call(name):
    nth = 1
    while refused(name, nth, 1000)[0]:
        expected = Swap.FAIL if name.startswith("try") else None if name.endswith("alloc") else errno.ENOMEM
        assert refused(name, nth, 1000) == (True, expected, True)
        nth += 1
    assert nth - 1 == SITES.get(name, 1)


@pytest.mark.parametrize("name", ["anon_vma_clone", "anon_vma_fork"])
def test_a_chain_entry_refused_once_is_asked_for_again_with_waiting(name):
    for nth in 1, 2:
        assert refused(name, nth, 1) == (True, None, False)


def test_a_fork_needs_its_own_anon_vma_and_the_entry_for_it_at_once():
    for nth in 3, 4:
        assert refused("anon_vma_fork", nth, 1) == (True, errno.ENOMEM, True)
