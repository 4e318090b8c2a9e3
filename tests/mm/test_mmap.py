# SPDX-License-Identifier: GPL-2.0-only
"""Placing, mapping and unmapping. Kernel: mm/mmap.c (do_mmap_pgoff, get_unmapped_area, do_munmap)."""

import errno

import pytest

from rmapemu import Machine
from rmapemu.machine.enums import VmFlag
from support.failing import every_allocation

BASE = 0x10000000
SITES = ["vm_area_struct", "anon_vma_chain", "heap"]


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


def raises(number, call, *args, **kwargs):
    with pytest.raises(OSError, match=rf"Errno {number}\b"):
        call(*args, **kwargs)


# ---------------------------------------------------------------- arguments
def test_a_mapping_without_length_is_invalid(init):
    raises(errno.EINVAL, init.mmap, 0)


def test_a_mapping_is_either_shared_or_private(init):
    raises(errno.EINVAL, init.mmap, 4096, "rw", "anonymous")


def test_a_fixed_address_must_be_aligned(m, init):
    raises(errno.EINVAL, init.mmap, m.page_size, addr=BASE + 1, fixed=True)


def test_a_mapping_beyond_the_address_space_does_not_fit(m, init):
    raises(errno.ENOMEM, init.mmap, 1 << 62, flags="private|anonymous|noreserve")
    raises(errno.ENOMEM, init.mmap, m.page_size, addr=1 << 60, fixed=True)


def test_a_length_is_rounded_up_to_pages(m, init):
    area = init.mmap(m.page_size + 1)
    assert area.end - area.start == 2 * m.page_size


def test_a_file_offset_that_no_file_reaches_is_refused(m, init):
    with pytest.raises(ValueError, match="too large"):
        init.mmap(m.page_size, file=m.file(m.page_size), offset=1 << 63)


def test_a_file_does_not_grow_down(m, init):
    raises(errno.EINVAL, init.mmap, m.page_size, flags="private|growsdown", file=m.file(m.page_size))


def test_there_are_no_more_vmas_than_max_map_count_and_one(m, init):
    m.sysctl.max_map_count = 3
    for i in range(4):
        fixed(init, 2 * i, 1)
    raises(errno.ENOMEM, fixed, init, 20, 1)
    assert len(init.maps()) == 4


# ---------------------------------------------------------------- placement
def test_mappings_are_placed_from_the_top_down(m, init):
    first = init.mmap(4 * m.page_size, "r")
    second = init.mmap(4 * m.page_size, "rw")
    assert first.end == state(init)["mmap_base"]
    assert second.end == first.start


def test_the_gap_of_the_stack_is_128_mib(m, init):
    top = 1 << 42 if m.arch == "s390" else (1 << 47) - m.page_size
    assert state(init)["mmap_base"] == top - (128 << 20)


def test_a_hole_that_was_unmapped_above_is_used_again(m, init):
    first = init.mmap(4 * m.page_size, "r")
    init.mmap(4 * m.page_size, "rw")
    init.munmap(first.start, 4 * m.page_size)
    assert init.mmap(2 * m.page_size, "rx").end == first.end


def test_a_hole_too_small_is_passed_over_and_forgotten(m, init):
    size = m.page_size
    first = init.mmap(2 * size, "r")
    second = init.mmap(4 * size, "rw")
    init.munmap(first.start, 2 * size)
    below = init.mmap(3 * size, "rx")
    assert below.end == second.start
    # the search goes on where it stopped: only a hole in whose reach it ended would have been noted
    assert init.mmap(2 * size, "r").end == below.start


def test_a_free_hint_is_honoured_and_rounded_down(m, init):
    assert init.mmap(m.page_size, addr=BASE + 7).start == BASE


def test_a_hint_that_is_taken_is_passed_over(m, init):
    fixed(init, 0, 4)
    assert init.mmap(m.page_size, "r", addr=BASE + m.page_size).end == state(init)["mmap_base"]


def test_a_fixed_mapping_replaces_what_was_there(init):
    fixed(init, 0, 8)
    fixed(init, 2, 3, "r")
    assert layout(init) == [(0, 2, "rw-p"), (2, 5, "r--p"), (5, 8, "rw-p")]


def test_below_the_base_full_the_search_goes_upwards():
    with Machine("x86_64", memory="16M") as m:
        init = m.spawn("init")
        most = state(init)["mmap_base"] // 4 * 3
        init.mmap(most, "r", "private|anonymous|noreserve")
        again = init.mmap(64 << 20, "rw", "private|anonymous|noreserve", addr=0)
        assert again.end <= state(init)["mmap_base"]
        init.mmap(again.start - (1 << 20), "rx", "private|anonymous|noreserve", addr=1 << 20, fixed=True)
        assert init.mmap(64 << 20, "none").start >= state(init)["mmap_base"]
        m.check()


def test_s390_tables_grow_when_nothing_fits_below_4_tib():
    with Machine("s390", memory="16M") as m:
        init = m.spawn("init")
        assert init.levels == 3
        init.mmap(3 << 40, "r", "private|anonymous|noreserve")
        assert init.levels == 3
        second = init.mmap(3 << 40, "rw", "private|anonymous|noreserve")
        assert init.levels == 4
        assert second.start >= 1 << 41
        init.write(second.end - 1, 5)
        child = init.fork()
        assert child.levels == 4
        assert child.read(second.end - 1) == 5
        m.check()


def test_s390_tables_grow_for_a_fixed_address_above_4_tib():
    with Machine("s390", memory="16M") as m:
        init = m.spawn("init")
        area = init.mmap(m.page_size, addr=1 << 45, fixed=True)
        init.write(area.start)
        assert init.levels == 4
        m.check()


# ---------------------------------------------------------------- shared memory, flags, accounting
def test_shared_anonymous_memory_is_a_file_of_its_own(m, init):
    one, two = init.mmap(m.page_size, flags="shared|anonymous"), init.mmap(m.page_size, flags="shared|anonymous")
    assert one.file != two.file
    assert one.file.kind == "shmem"
    assert one.vm_pgoff == 0
    assert one.vm_flags & VmFlag.CAN_NONLINEAR


def test_shared_anonymous_memory_is_committed_whole_and_given_back_with_its_last_user(m, init):
    before = m.dump()["machine"]["committed_as"]
    area = init.mmap(8 * m.page_size, flags="shared|anonymous")
    child = init.fork()
    assert m.dump()["machine"]["committed_as"] == before + 8
    init.munmap(area.start, 8 * m.page_size)
    assert m.dump()["machine"]["committed_as"] == before + 8
    child.exit()
    assert m.dump()["machine"]["committed_as"] == before


@pytest.mark.parametrize(
    ("prot", "flags", "pages"),
    [
        ("rw", "private|anonymous", 4),
        ("r", "private|anonymous", 0),
        ("rw", "private|anonymous|noreserve", 0),
        ("rw", "shared|anonymous|noreserve", 0),
    ],
)
def test_private_writable_memory_is_committed(m, init, prot, flags, pages):
    before = m.meminfo()["Committed_AS"]
    area = init.mmap(4 * m.page_size, prot, flags)
    assert m.dump()["machine"]["committed_as"] == pages
    init.munmap(area.start, 4 * m.page_size)
    assert m.meminfo()["Committed_AS"] == before


def test_an_obvious_overcommit_is_refused_and_leaves_nothing(m, init):
    raises(errno.ENOMEM, init.mmap, 1 << 30)
    raises(errno.ENOMEM, init.mmap, 1 << 30, "rw", "shared|anonymous")
    assert init.maps() == []
    assert m.dump()["machine"]["committed_as"] == 0


def test_always_overcommit_refuses_nothing(m, init):
    m.sysctl.overcommit_memory = 1
    assert len(init.mmap(1 << 40)) == 1 << 40


def test_never_overcommit_counts_also_what_asked_for_no_reserve(m, init):
    m.sysctl.overcommit_memory = 2
    init.mmap(4 * m.page_size, flags="private|anonymous|noreserve")
    assert m.dump()["machine"]["committed_as"] == 4
    raises(errno.ENOMEM, init.mmap, 16 << 20)
    raises(errno.ENOMEM, init.mmap, 16 << 20, "rw", "shared|anonymous")


def test_populate_brings_the_pages_in(m, init):
    init.mmap(4 * m.page_size, flags="private|anonymous|populate")
    assert init.rss["anon"] == 4
    assert init.min_flt == 4


def test_populate_of_shared_memory_reads_only(m, init):
    area = init.mmap(2 * m.page_size, flags="shared|anonymous|populate")
    assert init.rss["file"] == 2
    assert not init.pte_at(area.start).dirty


def test_the_counters_of_an_address_space(m, init):
    file = m.file(8 * m.page_size)
    init.mmap(2 * m.page_size)
    init.mmap(3 * m.page_size, "rx", file=file)
    init.mmap(4 * m.page_size, "rw", "shared", file=file)
    now = state(init)
    assert (now["total_vm"], now["shared_vm"], now["exec_vm"], now["stack_vm"]) == (9, 7, 3, 0)
    for vma in init.maps():
        init.munmap(vma.start, vma.end - vma.start)
    now = state(init)
    assert (now["total_vm"], now["shared_vm"], now["exec_vm"], now["hiwater_vm"]) == (0, 0, 0, 9)


# ---------------------------------------------------------------- munmap
def test_munmap_wants_whole_pages_below_the_top(m, init):
    raises(errno.EINVAL, init.munmap, BASE + 1, m.page_size)
    raises(errno.EINVAL, init.munmap, BASE, 0)
    raises(errno.EINVAL, init.munmap, 1 << 60, m.page_size)


def test_unmapping_cuts_over_several_vmas(init):
    fixed(init, 0, 4)
    fixed(init, 4, 4, "r")
    fixed(init, 10, 4)
    init.munmap(BASE + 2 * init.machine.page_size, 10 * init.machine.page_size)
    assert layout(init) == [(0, 2, "rw-p"), (12, 14, "rw-p")]


def test_a_split_in_the_middle_needs_room_in_the_map_count(m, init):
    fixed(init, 0, 8)
    m.sysctl.max_map_count = 1
    raises(errno.ENOMEM, init.munmap, BASE + 2 * m.page_size, m.page_size)
    init.munmap(BASE + 6 * m.page_size, 2 * m.page_size)
    assert layout(init) == [(0, 6, "rw-p")]


# ---------------------------------------------------------------- failing allocations
def test_every_failing_allocation_of_an_unmapping_leaves_it_undone(m, init):
    fixed(init, 0, 8)
    for page in range(8):
        init.write(BASE + page * m.page_size, page + 1)
    before = state(init)["vmas"]

    def unchanged():
        assert state(init)["vmas"] == before

    failed = every_allocation(m, lambda: init.munmap(BASE + 2 * m.page_size, 3 * m.page_size), unchanged, SITES)
    assert failed == 4  # two splits, of a VMA and a chain entry each
    assert layout(init) == [(0, 2, "rw-p"), (5, 8, "rw-p")]
    assert [init.read(BASE + page * m.page_size) for page in (0, 1, 5, 7)] == [1, 2, 6, 8]


@pytest.mark.parametrize("flags", ["private|anonymous", "shared|anonymous"])
def test_a_mapping_that_cannot_be_allocated_leaves_nothing(m, init, flags):
    def nothing():
        assert init.maps() == []
        assert m.dump()["machine"]["committed_as"] == 0

    assert every_allocation(m, lambda: init.mmap(4 * m.page_size, flags=flags), nothing) >= 2
