# SPDX-License-Identifier: GPL-2.0-only
"""The loops that benchmarks time do what they say; how long they take is never asserted."""
import numpy as np
import pytest

from rmapemu import Machine, VmFlag
from rmapemu.machine.timing import Timing

PAGE = 4096


def shared(n: int) -> tuple[Machine, object, np.ndarray]:
    m = Machine(memory="16M")
    init = m.spawn("init")
    area = init.mmap(PAGE)
    init.write(area.start)
    for _ in range(n - 1):
        init.fork()
    page = init.page_at(area.start)
    return m, page, np.array([page.pfn], np.uint32)


def test_the_loop_over_page_referenced_counts_as_the_calls_do() -> None:
    m, _, pfn = shared(3)
    with m.measure() as cost:
        assert Timing(m).referenced(pfn, rounds=4)[1] == 1, "the first round finds the parent's young entry, the others nothing"
    assert (cost.rmap_walks, cost.vmas_visited, cost.young_cleared) == (4, 12, 1)


@pytest.mark.parametrize("processes", [1, 3])
def test_batches_find_and_count_what_single_calls_do(processes: int) -> None:
    found = []
    for name in ("referenced", "referenced_batches"):
        m = Machine(memory="16M")
        init = m.spawn("init")
        area = init.mmap(70 * PAGE)
        init.access(area.start + PAGE * np.arange(70, dtype=np.uint64), "w")
        for _ in range(processes - 1):
            init.fork()
        pfn = np.array([init.page_at(area.start + PAGE * i).pfn for i in range(70)], np.uint32)
        with m.measure() as cost:
            references = getattr(Timing(m), name)(pfn, rounds=2)[1]
        found.append((references, cost.as_dict()))
    assert found[0] == found[1]
    assert found[0][0] == 70


def test_every_entry_is_young_again_in_each_round() -> None:
    m, page, _ = shared(3)
    assert Timing(m).referenced_young(page, rounds=4)[1] == 12


def test_the_chase_visits_as_many_vmas_as_the_walk() -> None:
    m, page, _ = shared(5)
    assert Timing(m).chase(page, rounds=2)[1] == 5


def test_the_bare_pass_reads_the_mapcount_and_the_entry_of_each_page() -> None:
    m, page, pfn = shared(1)
    process, vma = m.processes[0], page.mappers()[0].vma
    assert Timing(m).struct_and_entry(pfn)[1] == page.mapcount + process.pte_at(vma.start).raw


def test_a_fork_of_a_chain_links_one_entry_more_than_the_parent_has() -> None:
    m, page, _ = shared(1)
    timing, vma = Timing(m), page.mappers()[0].vma
    assert timing.fork_chain(vma, 7)[1] == 7 * 2
    m.check()


def test_a_page_that_is_not_anonymous_is_refused() -> None:
    m = Machine(memory="16M")
    with pytest.raises(ValueError, match="pfn=9: expected a mapped anonymous page"):
        Timing(m).referenced(np.array([9], np.uint32))


def test_a_small_page_of_a_hugetlb_vma_is_refused() -> None:
    m = Machine(memory="16M")
    vma, page = m.lab.vma(m.lab.mm(), 0x200000, 4, VmFlag.READ | VmFlag.WRITE | VmFlag.HUGETLB), m.lab.page()
    m.rmap.anon_vma_prepare(vma)
    m.lab.mapping(page, vma.anon_vma)
    m.lab.mapcount(page, 1)
    m.lab.set_pte(vma.process, 0x200000, page)
    with pytest.raises(ValueError, match="one of its VMAs has no table there"):
        Timing(m).referenced_batches(np.array([page.pfn], np.uint32))


def test_nothing_runs_while_someone_else_holds_a_lock() -> None:
    m, page, pfn = shared(2)
    m.lab.hold("anon_vma", page.anon_vma)
    for call in (lambda: Timing(m).referenced(pfn), lambda: Timing(m).chase(page), lambda: Timing(m).struct_and_entry(pfn)):
        with pytest.raises(ValueError, match="a lock is held"):
            call()
