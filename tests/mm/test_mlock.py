# SPDX-License-Identifier: GPL-2.0-only
"""Locked memory: pages brought in, kept off the lists, and let go. Kernel: mm/mlock.c."""

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


def mmap(process, page, npages, prot="rw", flags="private|anonymous", **more):
    size = process.machine.page_size
    return process.mmap(npages * size, prot, flags, addr=BASE + page * size, fixed=True, **more)


def lock(process, page, npages):
    process.mlock(BASE + page * process.machine.page_size, npages * process.machine.page_size)


def unlock(process, page, npages):
    process.munlock(BASE + page * process.machine.page_size, npages * process.machine.page_size)


def page_at(process, page):
    return process.page_at(BASE + page * process.machine.page_size)


def locked_pages(process):
    return process.machine.dump()["processes"][process.pid]["locked_vm"]


def layout(process):
    size = process.machine.page_size
    return [((v.start - BASE) // size, (v.end - BASE) // size, bool(v.vm_flags & VmFlag.LOCKED)) for v in process.maps()]


def raises(number, call, *args):
    with pytest.raises(OSError, match=rf"Errno {number}\b"):
        call(*args)


# ---------------------------------------------------------------- mlock
def test_locking_brings_the_pages_in_and_off_the_lists(m, init):
    mmap(init, 0, 4)
    lock(init, 0, 4)
    assert init.rss["anon"] == 4
    assert init.min_flt == 4
    assert locked_pages(init) == 4
    assert (m.vmstat["nr_mlock"], m.vmstat["nr_unevictable"], m.vmstat["unevictable_pgs_mlocked"]) == (4, 4, 4)
    assert {"mlocked", "unevictable"} <= set(page_at(init, 0).flags)


def test_a_page_that_was_there_before_is_culled_from_its_list(m, init):
    mmap(init, 0, 2)
    init.write(BASE)
    assert m.vmstat["nr_unevictable"] == 0
    lock(init, 0, 1)
    assert m.vmstat["nr_unevictable"] == 1
    assert m.vmstat["unevictable_pgs_culled"] == 1
    assert layout(init) == [(0, 1, True), (1, 2, False)]


def test_locking_breaks_copy_on_write_at_once(m, init):
    mmap(init, 0, 1)
    init.write(BASE, 7)
    child = init.fork()
    lock(child, 0, 1)
    assert page_at(child, 0) != page_at(init, 0)
    assert child.read(BASE) == 7


def test_locking_shared_memory_does_not_dirty_it(m, init):
    mmap(init, 0, 2, "rw", "shared", file=m.file(2 * m.page_size))
    lock(init, 0, 2)
    assert init.rss["file"] == 2
    assert "dirty" not in page_at(init, 0).flags
    assert m.vmstat["nr_mlock"] == 2


def test_the_zero_page_is_never_mlocked(m, init):
    mmap(init, 0, 2, "r")
    lock(init, 0, 2)
    assert locked_pages(init) == 2
    assert m.vmstat["nr_mlock"] == 0


def test_the_range_is_rounded_outwards_to_pages(m, init):
    mmap(init, 0, 3)
    init.mlock(BASE + m.page_size + 1, m.page_size)
    assert layout(init) == [(0, 1, False), (1, 3, True)]


def test_locking_a_hole_is_an_error_after_what_comes_before_it(m, init):
    mmap(init, 0, 2), mmap(init, 3, 1)
    raises(errno.ENOMEM, lock, init, 0, 4)
    assert layout(init) == [(0, 2, True), (3, 4, False)]


def test_locking_what_may_not_be_accessed_locks_it_and_says_so(m, init):
    mmap(init, 0, 2, "none")
    raises(errno.ENOMEM, lock, init, 0, 2)
    assert layout(init) == [(0, 2, True)]
    assert locked_pages(init) == 2


def test_locking_beyond_the_end_of_a_file_says_so(m, init):
    mmap(init, 0, 2, "r", "shared", file=m.file(m.page_size))
    raises(errno.ENOMEM, lock, init, 0, 2)
    assert m.vmstat["nr_mlock"] == 1


def test_map_locked_does_not_say_that_pages_could_not_be_had(m, init):
    mmap(init, 0, 2, "rw", "shared|locked", file=m.file(m.page_size))
    assert locked_pages(init) == 2
    assert m.vmstat["nr_mlock"] == 1
    init.munmap(BASE, 2 * m.page_size)
    assert locked_pages(init) == 0
    assert m.vmstat["nr_mlock"] == 0


def test_the_guard_page_of_a_stack_is_left_out(m, init):
    mmap(init, 0, 4, "rw", "private|anonymous|growsdown")
    lock(init, 0, 4)
    assert init.rss["anon"] == 3
    assert layout(init) == [(0, 4, True)]


def test_a_locked_stack_that_grows_locks_more(m, init):
    mmap(init, 0, 4, "rw", "private|anonymous|growsdown|locked")
    init.write(BASE - 3 * m.page_size)
    assert locked_pages(init) == 8
    assert "mlocked" in page_at(init, -3).flags
    init.munmap(BASE - 4 * m.page_size, 8 * m.page_size)
    assert locked_pages(init) == 0


def test_pages_that_come_later_are_born_mlocked(m, init):
    mmap(init, 0, 2, "none")
    raises(errno.ENOMEM, lock, init, 0, 2)
    init.mprotect(BASE, 2 * m.page_size, "rw")
    init.write(BASE)
    assert "mlocked" in page_at(init, 0).flags
    assert m.vmstat["nr_mlock"] == 1


def test_neighbours_that_are_locked_merge(m, init):
    mmap(init, 0, 4)
    init.write(BASE)  # one anon_vma for all of them
    lock(init, 0, 1), lock(init, 2, 2)
    assert layout(init) == [(0, 1, True), (1, 2, False), (2, 4, True)]
    lock(init, 1, 1)
    assert layout(init) == [(0, 4, True)]
    assert locked_pages(init) == 4


def test_locking_twice_counts_once(m, init):
    mmap(init, 0, 2)
    lock(init, 0, 2), lock(init, 0, 2)
    assert locked_pages(init) == 2
    assert m.vmstat["nr_mlock"] == 2


# ---------------------------------------------------------------- munlock
def test_unlocking_puts_the_pages_back(m, init):
    mmap(init, 0, 4)
    lock(init, 0, 4)
    unlock(init, 1, 2)
    assert layout(init) == [(0, 1, True), (1, 3, False), (3, 4, True)]
    assert (m.vmstat["nr_mlock"], m.vmstat["nr_unevictable"]) == (2, 2)
    assert (m.vmstat["unevictable_pgs_munlocked"], m.vmstat["unevictable_pgs_rescued"]) == (2, 2)
    assert "lru" in page_at(init, 1).flags
    assert "unevictable" not in page_at(init, 1).flags
    assert locked_pages(init) == 2


def test_unlocking_reaches_pages_without_permission(m, init):
    mmap(init, 0, 2)
    lock(init, 0, 2)
    init.mprotect(BASE, 2 * m.page_size, "none")
    unlock(init, 0, 2)
    assert m.vmstat["nr_mlock"] == 0


def test_a_page_that_another_process_has_locked_stays_mlocked(m, init):
    file, other = m.file(m.page_size), m.spawn()
    for process in (init, other):
        mmap(process, 0, 1, "r", "shared", file=file)
        lock(process, 0, 1)
    assert m.vmstat["nr_mlock"] == 1
    unlock(init, 0, 1)
    assert "mlocked" in file.page(0).flags
    assert m.vmstat["unevictable_pgs_munlocked"] == 0
    unlock(other, 0, 1)
    assert "mlocked" not in file.page(0).flags
    assert m.vmstat["unevictable_pgs_munlocked"] == 1


def test_a_lock_of_the_same_process_is_not_seen_for_munlock_itself_holds_mmap_sem(m, init):
    file = m.file(m.page_size)
    mmap(init, 0, 1, "r", "shared", file=file), mmap(init, 2, 1, "r", "shared", file=file)
    lock(init, 0, 1), lock(init, 2, 1)
    with m.measure() as cost:
        unlock(init, 0, 1)
    assert cost.trylock_failed["mmap_sem"] == 1
    # left to reclaim, which will find the other mapping
    assert "mlocked" not in file.page(0).flags


def test_unlocking_a_huge_hole_looks_at_tables_only(m, init):
    m.sysctl.overcommit_memory = 1
    area = init.mmap(1 << 36, "none")
    raises(errno.ENOMEM, init.mlock, area.start, 1 << 36)
    init.munlock(area.start, 1 << 36)
    assert locked_pages(init) == 0


def test_unmapping_unlocks(m, init):
    mmap(init, 0, 4)
    lock(init, 0, 4)
    init.munmap(BASE, 2 * m.page_size)
    assert locked_pages(init) == 2
    assert m.vmstat["nr_mlock"] == 2
    init.exit()
    assert m.vmstat["nr_mlock"] == 0
    assert m.vmstat["nr_unevictable"] == 0


def test_a_child_inherits_no_locks(m, init):
    mmap(init, 0, 2)
    lock(init, 0, 2)
    child = init.fork()
    assert layout(child) == [(0, 2, False)]
    assert locked_pages(child) == 0
    init.exit()
    child.write(BASE)
    assert child.rss["anon"] == 2


def test_locked_pages_stay_when_memory_is_short(arch):
    with Machine(arch, memory="2M", swap="8M") as m:
        init = m.spawn()
        mmap(init, 0, 32)
        lock(init, 0, 32)
        heap = init.mmap(1000 * m.page_size)
        for i in range(1000):
            init.write(heap.start + i * m.page_size)
        assert m.vmstat["pswpout"] > 0
        assert all(page_at(init, i) for i in range(32))
        m.check()


# ---------------------------------------------------------------- failing allocations
@pytest.mark.parametrize("name", ["mlock", "munlock"])
def test_a_failing_split_leaves_the_vmas_as_they_were(m, init, name):
    mmap(init, 0, 6)
    for i in range(6):
        init.write(BASE + i * m.page_size)
    if name == "munlock":
        lock(init, 0, 6)
    before = (layout(init), locked_pages(init), m.vmstat["nr_mlock"])

    def unchanged():
        assert (layout(init), locked_pages(init), m.vmstat["nr_mlock"]) == before

    call = getattr(init, name)
    assert every_allocation(m, lambda: call(BASE + 2 * m.page_size, 2 * m.page_size), unchanged, SITES) == 4
    assert len(layout(init)) == 3


def test_without_a_frame_locking_says_try_again(m, init):
    mmap(init, 0, 4)
    m.lab.fail_alloc(3, 100, "page")
    raises(errno.EAGAIN, lock, init, 0, 4)
    m.lab.fail_alloc(0)
    assert layout(init) == [(0, 4, True)]
    assert m.vmstat["nr_mlock"] == 2
