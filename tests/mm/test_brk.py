# SPDX-License-Identifier: GPL-2.0-only
"""The heap and the stack. Kernel: mm/mmap.c (sys_brk, do_brk, expand_stack, acct_stack_growth)."""

import pytest

from rmapemu import Machine
from rmapemu.errors import BusError, SegmentationFault

BASE = 0x10000000


@pytest.fixture
def m(arch):
    with Machine(arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def state(process):
    """What dump() says of the process."""
    return process.machine.dump()["processes"][process.pid]


def layout(process):
    """(start, end, prot and sharing) in pages from BASE of every VMA."""
    size = process.machine.page_size
    return [((v.start - BASE) // size, (v.end - BASE) // size, str(v).split()[1]) for v in process.maps()]


def fixed(process, page, npages, prot="rw", flags="private|anonymous", **more):
    size = process.machine.page_size
    return process.mmap(npages * size, prot, flags, addr=BASE + page * size, fixed=True, **more)


# ---------------------------------------------------------------- brk
def test_the_heap_grows_in_place_and_shrinks(m, init):
    start = init.brk()
    assert init.brk(start + 3 * m.page_size) == start + 3 * m.page_size
    assert init.brk(start + 5 * m.page_size + 1) == start + 5 * m.page_size + 1
    assert [(v.start, v.end) for v in init.maps()] == [(start, start + 6 * m.page_size)]
    assert str(init.maps()[0]).endswith("rw-p 00000000 00:00 0 [heap]")
    init.write(start + 5 * m.page_size)
    assert init.brk(start + m.page_size) == start + m.page_size
    assert init.rss["anon"] == 0
    assert init.brk(start) == start
    assert init.maps() == []


def test_the_heap_does_not_run_into_a_mapping_nor_up_to_it(m, init):
    start = init.brk()
    init.mmap(m.page_size, addr=start + 4 * m.page_size, fixed=True)
    assert init.brk(start + 4 * m.page_size) == start
    assert init.brk(start + 3 * m.page_size) == start + 3 * m.page_size


def test_a_break_at_the_end_of_all_addresses_changes_nothing(m, init):
    fixed(init, 0, 4)
    start = init.brk()
    init.brk(start + m.page_size)
    for far in (2**64 - 1, 2**63, start - 1):
        assert init.brk(far) == start + m.page_size
    assert len(init.maps()) == 2


# ---------------------------------------------------------------- stacks
def stack(process, npages=4):
    return process.mmap(npages * process.machine.page_size, "rw", "private|anonymous|growsdown", addr=BASE, fixed=True)


def test_a_stack_grows_to_take_an_access_in(m, init):
    area = stack(init)
    init.write(area.start - 10 * m.page_size)
    # one page more than the access: the guard page below
    assert layout(init) == [(-11, 4, "rw-p")]
    assert state(init)["stack_vm"] == 15
    assert m.dump()["machine"]["committed_as"] == 15
    assert init.vma_at(BASE).vm_pgoff == BASE // m.page_size - 11


def test_a_stack_has_8_mib(m, init):
    area = stack(init)
    init.write(area.end - (8 << 20) + m.page_size)
    with pytest.raises(SegmentationFault):
        init.write(area.end - (8 << 20) - m.page_size)


def test_a_stack_keeps_a_page_from_the_mapping_below(m, init):
    area = stack(init)
    fixed(init, -4, 2)
    with pytest.raises(BusError):
        init.write(area.start - 2 * m.page_size)
    assert layout(init) == [(-4, -2, "rw-p"), (-2, 4, "rw-p")]


def test_other_mappings_do_not_grow(m, init):
    area = fixed(init, 0, 4)
    with pytest.raises(SegmentationFault):
        init.write(area.start - 1)
