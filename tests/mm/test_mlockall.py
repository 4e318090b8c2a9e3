# SPDX-License-Identifier: GPL-2.0-only
"""All of an address space locked, now or as it comes. Kernel: mm/mlock.c (sys_mlockall, sys_munlockall, do_mlockall)."""

import pytest

from rmapemu import Machine
from rmapemu.machine.enums import VmFlag


@pytest.fixture
def m(arch):
    with Machine(arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    process = m.spawn("init")
    process.mmap(4 * m.page_size)
    process.mmap(2 * m.page_size, "r", file=m.file(2 * m.page_size))
    process.mmap(2 * m.page_size, "none")
    return process


def locked(process):
    return [bool(v.vm_flags & VmFlag.LOCKED) for v in process.maps()]


def test_everything_there_is_is_locked_and_brought_in(m, init):
    init.mlockall()
    assert locked(init) == [True, True, True]
    assert init.rss == {"file": 2, "anon": 4, "swap": 0}
    assert m.vmstat["nr_mlock"] == 6
    assert init.status["VmLck"] == 8 * m.page_size >> 10


def test_pages_that_cannot_be_had_are_no_error(m, init):
    m.lab.fail_alloc(1, 100, "page")
    init.mlockall()
    m.lab.fail_alloc(0)
    assert locked(init) == [True, True, True]


def test_what_comes_later_is_locked_only_if_that_was_asked_for(m, init):
    init.mlockall()
    assert not init.mmap(m.page_size).vm_flags & VmFlag.LOCKED
    init.mlockall(current=False, future=True)
    assert init.mmap(m.page_size, "rwx").vm_flags & VmFlag.LOCKED
    assert m.vmstat["nr_mlock"] == 7
    start = init.brk()
    init.brk(start + 2 * m.page_size)
    assert m.vmstat["nr_mlock"] == 9


def test_unlocking_all_ends_both(m, init):
    init.mlockall(current=True, future=True)
    init.munlockall()
    assert locked(init) == [False, False, False]
    assert (m.vmstat["nr_mlock"], m.vmstat["nr_unevictable"], init.status["VmLck"]) == (0, 0, 0)
    assert not init.mmap(m.page_size).vm_flags & VmFlag.LOCKED


def test_a_child_does_not_inherit_what_is_to_be_locked(m, init):
    init.mlockall(current=True, future=True)
    child = init.fork()
    assert not child.mmap(m.page_size, "rx").vm_flags & VmFlag.LOCKED


def test_neither_now_nor_later_is_invalid(init):
    with pytest.raises(OSError, match="Invalid argument"):
        init.mlockall(current=False)
