# SPDX-License-Identifier: GPL-2.0-only
"""Mmu notifiers and memory cgroups: what the reverse map tells the ones and counts for the others."""

import pytest

from rmapemu import TTU, GoneError, Machine, Swap, VmFlag
from support.lab import START


@pytest.fixture
def told(machine, lab):
    """Registers a notifier that writes down what it is told: told(mm, **answers) -> list."""

    def register(mm, young=False):
        heard = []
        lab.notifier(
            mm,
            clear_flush_young=lambda process, va: heard.append(("young", process.pid, va)) or young,
            invalidate_page=lambda process, va: heard.append(("page", process.pid, va)),
            invalidate_range_start=lambda process, va, end: heard.append(("start", va, end)),
            invalidate_range_end=lambda process, va, end: heard.append(("end", va, end)),
            release=lambda process: heard.append(("release", process.pid)),
        )
        return heard

    return register


# ---------------------------------------------------------------- mmu notifiers
def test_a_notifier_that_saw_the_page_used_counts_as_a_reference(machine, lab, rmap, anon, told):
    mm, _vma, page = anon
    lab.set_pte(mm, START, page, write=True)
    if machine.arch == "s390":
        lab.storage_key(page, 0)
    assert rmap.page_referenced(page)[0] == 0
    heard = told(mm, young=True)
    with machine.measure() as cost:
        assert rmap.page_referenced(page) == (1, lab.vma_flags(anon[1]))
    assert heard == [("young", mm.pid, START)] and cost.notifier_calls == 1


def test_all_notifiers_are_asked_newest_first_and_their_answers_are_or_ed(machine, lab, rmap, anon):
    mm, _vma, page = anon
    lab.set_pte(mm, START, page)
    order = []
    first = lab.notifier(mm, clear_flush_young=lambda p, va: order.append(1))
    lab.notifier(mm, clear_flush_young=lambda p, va: order.append(2) or True)
    lab.notifier(mm, invalidate_page=lambda p, va: order.append(3))
    with machine.measure() as cost:
        assert rmap.page_referenced_anon(page)[0] == 1
    assert order == [2, 1] and cost.notifier_calls == 2
    lab.notifier_remove(first)
    rmap.page_referenced_anon(page)
    assert order == [2, 1, 2]
    with pytest.raises(GoneError, match="notifier"):
        lab.notifier_remove(first)


def test_a_bool_stands_for_a_function_that_answers_so(lab, rmap, anon):
    mm, vma, page = anon
    lab.set_pte(mm, START, page)
    number = lab.notifier(mm, clear_flush_young=True)
    assert rmap.page_referenced_one(page, vma, START, 1)[0] == 1
    assert rmap.try_to_unmap_one(page, vma, START) is Swap.FAIL
    lab.notifier_remove(number)
    with pytest.raises(TypeError, match="clear_flush_young"):
        lab.notifier(mm, clear_flush_young="yes")


def test_unmapping_asks_first_and_tells_when_the_entry_is_gone(lab, rmap, anon, told):
    mm, _vma, page = anon
    lab.get_page(page)
    lab.set_pte(mm, START, page)
    lab.lock_page(page)
    heard = told(mm)
    assert rmap.try_to_unmap(page, TTU.MIGRATION) is Swap.SUCCESS
    assert heard == [("young", mm.pid, START), ("page", mm.pid, START)]
    lab.unlock_page(page)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)


def test_cleaning_tells_of_each_entry_that_it_changes(machine, lab, rmap, shared, told):
    mm, _vma, page = shared
    heard = told(mm)
    lab.lock_page(page)
    assert rmap.page_mkclean(page) == 1
    entry = [("page", mm.pid, START + machine.page_size)]
    assert heard == entry
    rmap.page_mkclean(page)
    assert heard == entry * (2 if machine.arch == "s390" and not entry else 1)
    lab.unlock_page(page)


def test_the_cluster_scan_asks_and_tells_for_each_entry(machine, lab, rmap, told):
    file, mm = lab.file(4, "shmem"), lab.mm()
    vma = lab.vma(mm, START, 4, VmFlag.READ | VmFlag.SHARED | VmFlag.NONLINEAR, 0, file)
    size = machine.page_size
    for i, index in enumerate((2, 1)):
        page = lab.file_page(file, index)
        rmap.page_add_file_rmap(page)
        lab.get_page(page)
        lab.set_pte(mm, START + i * size, page)
    lab.rss(mm, "file", 2)
    lab.notifier(mm, clear_flush_young=lambda process, va: va == START)
    heard = told(mm)
    with machine.measure() as cost:
        assert rmap.try_to_unmap_cluster(0, 2, vma) == (Swap.AGAIN, 1)
    # the first one was seen used: it stays
    assert heard == [("young", mm.pid, START), ("young", mm.pid, START + size), ("page", mm.pid, START + size)]
    assert cost.notifier_calls == 5
    assert [lab.get_pte(mm, START + i * size).kind for i in (0, 1)] == ["present", "none"]


def test_what_a_notifier_raises_comes_out_when_the_operation_is_over(machine, lab, rmap, anon):
    mm, _vma, page = anon
    lab.get_page(page)
    lab.lock_page(page)
    calls = []

    def fail(process, va):
        calls.append(lab.locks_held()[-1][0])
        raise LookupError(va)

    lab.notifier(mm, clear_flush_young=fail, invalidate_page=fail)
    lab.set_pte(mm, START, page)
    with pytest.raises(LookupError):
        rmap.try_to_unmap(page, TTU.MIGRATION)
    # the operation went on as if it had said no: the entry is gone, no lock is left, nobody was asked again
    assert calls == ["ptl"] and lab.locks_held() == []
    assert lab.get_pte(mm, START).kind == "migration" and page.mapcount == 0
    assert not machine.dead
    lab.unlock_page(page)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)


def test_a_notifier_may_use_the_bench_but_no_operation(machine, lab, rmap, anon):
    mm, vma, page = anon
    lab.set_pte(mm, START, page)
    seen = []

    def look(process, va):
        seen.append(lab.get_pte(process, va).pfn)
        lab.get_page(page)
        lab.put_page(page)
        with pytest.raises(Exception, match="running an operation"):
            rmap.page_mapped_in_vma(page, vma)
        with pytest.raises(Exception, match="waits for a Python function"):
            lab.vma_remove(vma)
        return True

    lab.notifier(mm, clear_flush_young=look)
    assert rmap.page_referenced_anon(page)[0] == 1 and seen == [page.pfn]


def test_user_operations_tell_of_their_ranges(machine, lab, told):
    process = machine.spawn()
    size = machine.page_size
    heap = process.mmap(4 * size)
    process.write(heap.start)
    heard = told(process)
    process.mprotect(heap.start, size, "r")
    child = process.fork()
    process.munmap(heap.start, 4 * size)
    one, all_of_it = (heap.start, heap.start + size), (heap.start, heap.start + 4 * size)
    assert [("start", *one), ("end", *one)] == heard[:2]
    assert heard[2:-2] == [("start", *one), ("end", *one), ("start", one[1], all_of_it[1]), ("end", one[1], all_of_it[1])]
    assert heard[-2:] == [("start", *all_of_it), ("end", *all_of_it)]
    # a child starts without notifiers
    child.exit()
    process.exec()
    assert heard[-1] == ("release", process.pid)
    process.write(process.mmap(size).start)
    assert heard[-1] == ("release", process.pid)


def test_a_copy_on_write_tells_of_the_page_that_is_replaced(machine, lab, told):
    process = machine.spawn()
    heap = process.mmap(machine.page_size)
    process.write(heap.start)
    child = process.fork()
    heard = told(process)
    process.write(heap.start)
    assert heard == [("page", process.pid, heap.start)]
    child.exit()


def test_a_cloned_machine_has_no_notifiers(machine, lab, anon, told):
    heard = told(anon[0])
    twin = machine.clone()
    twin.rmap.page_referenced(twin.page(anon[2].pfn))
    assert heard == []
    twin.close()


# ---------------------------------------------------------------- memory cgroups
def test_only_processes_of_the_group_are_asked(machine, lab, rmap, anon):
    mm, vma, page = anon
    other = lab.mm()
    twin = lab.vma_dup(vma, other)
    rmap.anon_vma_clone(twin, vma)
    rmap.page_dup_rmap(page)
    lab.get_page(page)
    lab.set_pte(other, START, page, young=True)
    lab.rss(other, "anon", 1)
    lab.memcg(other, 2)
    young = machine.arch != "s390"
    for group, asked in [(3, []), (2, [other]), (0, [mm])]:
        for each in (mm, other):
            lab.set_pte(each, START, page, young=True)
        with machine.measure() as cost:
            assert rmap.page_referenced_anon(page, group)[0] == young * len(asked)
        assert cost.vmas_visited == 2 and cost.ptes_examined == len(asked)
    assert rmap.page_referenced(page, memcg=None)[0] == 1
    for bad in (64, -1):
        with pytest.raises(ValueError, match="memcg"):
            rmap.page_referenced(page, memcg=bad)
        with pytest.raises(ValueError, match="group"):
            lab.memcg(mm, bad)


def test_the_last_mapping_of_an_anonymous_page_uncharges_it(machine, lab, rmap, anon):
    mm, _vma, page = anon
    lab.charge(page, 5)
    assert lab.charged_to(page) == 5
    assert {name: lab.memcg_stat(5, name) for name in ("usage", "rss", "cache")} == {"usage": 1, "rss": 1, "cache": 0}
    assert machine.dump()["memcg"][5]["pgpgin"] == 1 and machine.dump()["pages"][page.pfn]["memcg"] == [5, 1]
    with pytest.raises(ValueError, match="already"):
        lab.charge(page, 5)
    lab.get_page(page)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)
    rmap.page_remove_rmap(page)
    assert lab.charged_to(page) is None and lab.memcg_stat(5, "usage") == 0 and lab.memcg_stat(5, "pgpgout") == 1
    with pytest.raises(ValueError, match="no group"):
        lab.uncharge(page)


def test_a_page_in_the_swap_cache_stays_charged(lab, rmap, anon):
    mm, _vma, page = anon
    lab.charge(page, 5)
    lab.swapcache(page, 0, 3)
    lab.set_pte(mm, START)
    lab.rss(mm, "anon", 0)
    rmap.page_remove_rmap(page)
    assert lab.charged_to(page) == 5
    lab.swapcache(page)
    lab.put_page(page)
    assert lab.memcg_stat(5, "usage") == 0


def test_the_root_has_no_usage(lab, anon):
    lab.charge(anon[2], 0)
    assert (lab.memcg_stat(0, "usage"), lab.memcg_stat(0, "rss")) == (0, 1)


def test_mapped_file_pages_are_counted_in_the_group_that_they_are_charged_to(machine, lab, rmap, shared):
    mm, _vma, page = shared
    rmap.page_dup_rmap(page)
    lab.charge(page, 7, cache=True)
    rmap.page_remove_rmap(page)
    assert lab.memcg_stat(7, "file_mapped") == 0
    lab.set_pte(mm, START + machine.page_size)
    lab.rss(mm, "file", 0)
    rmap.page_remove_rmap(page)
    assert lab.memcg_stat(7, "file_mapped") == -1
    rmap.page_add_file_rmap(page)
    rmap.page_add_file_rmap(page)
    assert lab.memcg_stat(7, "file_mapped") == 0 and machine.dump()["pages"][page.pfn]["memcg"] == [7, 7]
    rmap.page_remove_rmap(page)
    rmap.page_remove_rmap(page)
    assert machine.dump()["pages"][page.pfn]["memcg"] == [7, 3]
    lab.put_page(page)
    lab.memcg_stat(7, "file_mapped", 0)
    with machine.measure() as cost:
        lab.uncharge(page)
        rmap.page_add_file_rmap(page)
        rmap.page_remove_rmap(page)
    assert lab.memcg_stat(7, "file_mapped") == 0 and cost.rcu_read_lock == 0


def test_without_mmu_notifier_none_can_be_registered(arch):
    with Machine(arch, "16M", config={"mmu_notifier": False}) as m, pytest.raises(ValueError, match="mmu_notifier"):
        m.lab.notifier(m.lab.mm(), clear_flush_young=True)


def test_without_cgroup_mem_nothing_is_uncharged_and_every_mm_matches(arch):
    with Machine(arch, "16M", config={"cgroup_mem": False}) as m:
        page, vma = m.lab.page(), m.lab.vma(m.lab.mm(), START, 1, VmFlag.READ)
        m.rmap.anon_vma_prepare(vma)
        m.rmap.page_add_new_anon_rmap(page, vma, START)
        m.lab.charge(page, 1)
        m.lab.set_pte(vma.process, START, page)
        with m.measure() as cost:
            m.rmap.page_referenced(page, memcg=7)
        assert cost.ptes_matched == 1
        m.rmap.page_remove_rmap(page)
        assert m.lab.charged_to(page) == 1
