# SPDX-License-Identifier: GPL-2.0-only
"""Changing permissions: of VMAs and of the entries below them. Kernel: mm/mprotect.c (sys_mprotect, mprotect_fixup, change_protection)."""

import errno

import pytest

from rmapemu import Machine
from rmapemu.errors import SegmentationFault

BASE = 0x10000000


@pytest.fixture
def m(arch):
    with Machine(arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


@pytest.fixture
def heap(m, init):
    """Four written pages."""
    area = init.mmap(4 * m.page_size, addr=BASE, fixed=True)
    for i in range(4):
        init.write(area.start + i * m.page_size, i + 1)
    return area


def raises(number, call, *args):
    with pytest.raises(OSError, match=rf"Errno {number}\b"):
        call(*args)


def layout(process):
    size = process.machine.page_size
    return [((v.start - BASE) // size, (v.end - BASE) // size, str(v).split()[1]) for v in process.maps()]


def committed(m):
    return m.dump()["machine"]["committed_as"]


# ---------------------------------------------------------------- arguments
def test_the_start_must_be_aligned_but_no_length_is_no_error(m, init):
    raises(errno.EINVAL, init.mprotect, BASE + 1, m.page_size, "r")
    init.mprotect(BASE, 0, "r")


def test_a_hole_is_an_error_and_what_lies_before_it_is_changed(m, init, heap):
    init.munmap(BASE + 2 * m.page_size, m.page_size)
    raises(errno.ENOMEM, init.mprotect, BASE, 4 * m.page_size, "r")
    assert layout(init) == [(0, 2, "r--p"), (3, 4, "rw-p")]
    raises(errno.ENOMEM, init.mprotect, BASE - m.page_size, 2 * m.page_size, "rx")
    assert layout(init) == [(0, 2, "r--p"), (3, 4, "rw-p")]


def test_a_range_that_wraps_around_is_an_error(init):
    raises(errno.ENOMEM, init.mprotect, 2**64 - init.machine.page_size, 2 * init.machine.page_size, "r")


def test_what_may_not_be_is_refused(m, init, heap):
    vma = init.vma_at(BASE)
    m.lab.vma_flags(vma, vma.vm_flags & ~0x20)  # VM_MAYWRITE
    init.mprotect(BASE, m.page_size, "r")
    raises(errno.EACCES, init.mprotect, BASE, m.page_size, "rw")


# ---------------------------------------------------------------- entries
def test_a_store_to_what_is_read_only_now_is_a_fault(m, init, heap):
    init.mprotect(BASE, 2 * m.page_size, "r")
    assert [init.pte_at(BASE + i * m.page_size).write for i in range(4)] == [False, False, True, True]
    with pytest.raises(SegmentationFault, match="ACCERR"):
        init.write(BASE)
    assert init.read(BASE) == 1


def test_no_permission_keeps_the_page_where_it_is(m, init, heap):
    page = init.page_at(BASE)
    init.mprotect(BASE, m.page_size, "none")
    entry = init.pte_at(BASE)
    assert entry.protnone
    assert entry.pfn == page.pfn
    with pytest.raises(SegmentationFault, match="ACCERR"):
        init.read(BASE)
    init.mprotect(BASE, m.page_size, "rw")
    assert init.read(BASE) == 1
    assert page.mapcount == 1


def test_the_young_and_dirty_bits_outlive_a_change(m, init, heap):
    before = init.pte_at(BASE)
    init.mprotect(BASE, m.page_size, "r")
    init.mprotect(BASE, m.page_size, "rw")
    after = init.pte_at(BASE)
    assert (after.young, after.dirty) == (before.young, before.dirty)


def test_a_page_made_writable_again_is_written_after_a_fault_and_without_a_copy(m, init, heap):
    page = init.page_at(BASE)
    init.mprotect(BASE, m.page_size, "r")
    init.mprotect(BASE, m.page_size, "rw")
    assert not init.pte_at(BASE).write
    faults = init.min_flt
    init.write(BASE, 9)
    assert init.min_flt == faults + 1
    assert init.page_at(BASE) == page


def test_what_was_written_to_a_file_that_hears_of_it_stays_writable(m, init):
    file = m.file(4 * m.page_size)
    area = init.mmap(2 * m.page_size, "rw", "shared", file=file)
    init.write(area.start)
    init.read(area.start + m.page_size)
    init.mprotect(area.start, 2 * m.page_size, "r")
    init.mprotect(area.start, 2 * m.page_size, "rw")
    # dirty_accountable needs the dirty bit in the entry: s390 keeps it in the storage key
    assert init.pte_at(area.start).write == (m.arch == "x86_64")
    assert not init.pte_at(area.start + m.page_size).write


def test_a_swapped_out_page_is_left_alone():
    with Machine("x86_64", memory="2M", swap="8M") as m:
        init = m.spawn()
        area = init.mmap(1000 * m.page_size)
        for i in range(1000):
            init.write(area.start + i * m.page_size, i + 1)
        assert init.rss["swap"]
        out = next(i for i in range(1000) if init.page_at(area.start + i * m.page_size) is None)
        entry = init.pte_at(area.start + out * m.page_size)
        init.mprotect(area.start, 1000 * m.page_size, "r")
        assert init.pte_at(area.start + out * m.page_size) == entry
        assert init.read(area.start + out * m.page_size) == out + 1
        assert not init.pte_at(area.start + out * m.page_size).write
        m.check()


def test_only_tables_that_exist_are_looked_at_but_the_tlb_is_flushed(m, init):
    area = init.mmap(1 << 34, flags="private|anonymous|noreserve")
    init.write(area.start + (1 << 33))
    with m.measure() as cost:
        init.mprotect(area.start, 1 << 34, "r")
    assert cost.locks["ptl"] == 1
    assert cost.ptes_written == 1
    assert cost.tlb_flush_mm + cost.tlb_flush_range == 1


def test_the_same_permissions_again_do_nothing(m, init, heap):
    with m.measure() as cost:
        init.mprotect(BASE, 4 * m.page_size, "rw")
    assert cost.ptes_examined == 0
    assert cost.tlb_flush_mm + cost.tlb_flush_range == 0


# ---------------------------------------------------------------- accounting
def test_private_memory_is_committed_when_it_becomes_writable_and_from_then_on(m, init):
    init.mmap(4 * m.page_size, "r", addr=BASE, fixed=True)
    assert committed(m) == 0
    init.mprotect(BASE, 2 * m.page_size, "rw")
    assert committed(m) == 2
    init.mprotect(BASE, 4 * m.page_size, "r")
    assert committed(m) == 2
    init.mprotect(BASE, 4 * m.page_size, "rw")
    assert committed(m) == 4
    init.munmap(BASE, 4 * m.page_size)
    assert committed(m) == 0


@pytest.mark.parametrize("flags", ["shared", "private"])
def test_a_file_mapping_is_committed_only_if_private(m, init, flags):
    area = init.mmap(4 * m.page_size, "r", flags, file=m.file(4 * m.page_size))
    init.mprotect(area.start, 4 * m.page_size, "rw")
    assert committed(m) == (4 if flags == "private" else 0)


def test_what_cannot_be_committed_is_not_made_writable(m, init):
    m.sysctl.overcommit_memory = 1
    init.mmap(1 << 30, "r", addr=BASE, fixed=True)
    m.sysctl.overcommit_memory = 0
    raises(errno.ENOMEM, init.mprotect, BASE, 1 << 30, "rw")
    assert committed(m) == 0
    assert [prot for _, _, prot in layout(init)] == ["r--p"]


def test_executable_file_pages_are_counted_apart(m, init):
    area = init.mmap(4 * m.page_size, "r", file=m.file(4 * m.page_size))
    init.mprotect(area.start, 2 * m.page_size, "rx")
    kb = m.page_size >> 10
    assert init.status["VmLib"] == 2 * kb
    init.mprotect(area.start, 2 * m.page_size, "rwx")
    assert init.status["VmLib"] == 0


def test_mprotect_makes_no_entry_young(m, init, heap):
    child = init.fork()  # the copies of its entries are old
    for prot in "r", "none", "rw":
        child.mprotect(heap.start, 2 * m.page_size, prot)
        assert not any(child.pte_at(heap.start + i * m.page_size).young for i in range(4))
    assert all(init.pte_at(heap.start + i * m.page_size).young for i in range(4)) == (m.arch != "s390")


@pytest.mark.parametrize("call", ["mprotect", "mlock", "munmap"])
@pytest.mark.parametrize("backed", ["by nothing", "by a file"])
def test_a_range_in_the_middle_that_may_not_be_cut_out_leaves_the_vma_where_it_was(m, init, call, backed):
    """The second split fails for want of memory: the first is taken back, and the VMA keeps its serial number and its places."""
    size = m.page_size
    file = {"file": m.file(8 * size), "flags": "private"} if backed == "by a file" else {}
    area = init.mmap(8 * size, **file)
    init.write(area.start)
    child = init.fork()
    for process in (init, child):
        process.mprotect(area.start, size, "r")
    before = m.dump()
    m.lab.fail_alloc(2, kind="vm_area_struct")
    with pytest.raises(OSError, match="Cannot allocate memory"):
        getattr(init, call)(area.start + 3 * size, 2 * size, *["r"] * (call == "mprotect"))
    after = m.dump()
    for state in (before, after):
        del state["processes"][init.pid]["mmap_cache"]      # where find_vma looked last
    for what in ("anon_vmas", "processes", "pages"):
        assert after[what] == before[what]
