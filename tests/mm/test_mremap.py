# SPDX-License-Identifier: GPL-2.0-only
"""Entries that move: exec's temporary stack on its way to where it stays."""

import pytest

from rmapemu import Machine


@pytest.fixture
def process(machine):
    return machine.spawn()


def stack_of(process):
    (stack,) = process.maps()
    return stack


@pytest.mark.parametrize("pages", [1, 3, 33, 256, 512, 5000])
def test_the_stack_moves_down_with_its_page(machine, process, pages):
    shift = pages * machine.page_size
    process.exec()
    top = stack_of(process).vm_end
    process.exec(stack_shift=shift)
    stack = stack_of(process)
    assert stack.vm_end == top - shift and not machine.rmap.is_vma_temporary_stack(stack)
    page = process.page_at(stack.vm_end - 8)
    assert page.mapcount == 1 and page.mappers() == [(process, stack, stack.vm_end - machine.page_size)]
    # its place in the mapping did not change: v3.2 keeps vm_pgoff
    assert page.index == top // machine.page_size - 1
    dump = machine.dump()["processes"][process.pid]
    assert len(dump["entries"]) == 1 and dump["nr_ptes"] == 1
    assert (dump["start_stack"], dump["total_vm"]) == (stack.vm_end - 8, (stack.vm_end - stack.vm_start) // machine.page_size)
    process.write(stack.vm_end - machine.page_size)
    machine.check()


def test_the_move_flushes_once_and_writes_two_entries_a_page(machine, process):
    costs = []
    process.exec()
    for pages in (0, 4):
        with machine.measure() as cost:
            process.exec(stack_shift=pages * machine.page_size)
        costs.append(cost)
    assert costs[1].ptes_written - costs[0].ptes_written == 2
    assert costs[1].tlb_flush_range + costs[1].tlb_flush_mm - costs[0].tlb_flush_range - costs[0].tlb_flush_mm == 1


def test_a_token_written_to_the_old_stack_is_gone_and_the_new_one_is_its_own(machine, process):
    process.exec(stack_shift=2 * machine.page_size)
    first = stack_of(process).vm_end - 8
    process.write(first, 7)
    child = process.fork()
    process.exec(stack_shift=5 * machine.page_size)
    assert child.read(first) == 7
    assert process.read(stack_of(process).vm_end - 8) == 0


@pytest.mark.parametrize("kind", ["page", "table", "vm_area_struct", "anon_vma", "anon_vma_chain", "heap"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_lack_of_memory_leaves_the_old_address_space(arch, kind, nth):
    with Machine(arch, "16M") as m:
        process = m.spawn()
        heap = process.mmap(m.page_size)
        process.write(heap.start, 9)
        live = m.dump()["machine"]["live"]
        m.lab.fail_alloc(nth, kind=kind)
        try:
            # v3.2 does not look at what becomes of the guard page's growth
            process.exec(stack_shift=1 << 24)
            assert m.lab.fail_alloc(0) == (nth == 1 and "anon" in kind)
        except OSError as error:
            assert error.errno == 12 and process.read(heap.start) == 9
            assert m.dump()["machine"]["live"] == live
        m.lab.fail_alloc(0)
        m.check()


@pytest.mark.parametrize("shift", [1, -4096, (1 << 34) + 4096, "x", 1.5])
def test_a_shift_is_whole_pages(process, shift):
    with pytest.raises((ValueError, TypeError)):
        process.exec(stack_shift=shift)


@pytest.mark.parametrize("split", [True, False])
def test_a_stack_that_moves_to_another_leaf_table_takes_the_locks_of_both(split):
    with Machine("x86_64", memory="16M", config={"split_ptlocks": split}) as m:
        process = m.spawn()
        with m.measure() as cost:
            process.exec(stack_shift=1 << 22)
        assert cost.lock_ptl == 3 + split
