# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.check(): runs the census and says what it found. Kernel: none.
# Differs from an fsck in that nothing is mended.
from libc.string cimport memset
from rmapemu.hw.costs cimport costs_t
from rmapemu.machine.census cimport *
from rmapemu.machine.census_files cimport check_files, check_swap
from rmapemu.machine.census_mm cimport check_anon_vmas, check_mms
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.lock cimport locks_held
from rmapemu.mm.types cimport *

from rmapemu.errors import CheckError
from rmapemu.mm.vmstat import LOCK_NAMES

_ABOUT = ("machine", "page", "process", "VMA", "anon_vma", "file", "swap slot", "entry")


cdef void run_census(census* c, machine* m) noexcept nogil:
    """Looking costs nothing."""
    cdef costs_t cost = m.hw.cost
    if not (check_mms(c, m) or check_anon_vmas(c, m) or check_files(c, m) or check_swap(c, m) or check_lists(c, m)):
        check_frames(c, m)
    m.hw.cost = cost


def check_machine(Machine machine not None):
    """Raises CheckError with the first contradiction of the machine's state."""
    cdef census c
    cdef held_lock held[NR_LOCK_CLASSES + MAX_LOCK_DEPTH]
    cdef int err
    machine.readable()
    memset(&c, 0, sizeof(census))
    m = machine.m
    if m.held_mask:
        taken = [LOCK_NAMES[held[i].lock_class] for i in range(locks_held(m, held))]
        raise CheckError(f"locks are still held: {', '.join(taken)}", "machine")
    c.exact = not machine.by_hand
    with nogil:
        err = census_init(&c, machine.m)
        if err == 0:
            run_census(&c, machine.m)
        census_free(&c, machine.m)
    if err:
        raise MemoryError("no host memory for the check")
    if c.what != NULL:
        raise CheckError(f"{c.what.decode()}: {c.got}, expected {c.want}", _where(&c))
    _check_extra(machine)


cdef object _where(census* c):
    if c.about == ABOUT_MACHINE:
        return f"machine ({c.id})" if c.id else "machine"
    if c.about == ABOUT_SLOT:
        return f"swap slot {c.id >> 32}:{c.id & 0xffffffff}"
    if c.about == ABOUT_ENTRY:
        return f"entry {c.id:#x} of process {c.pid}"
    return f"{_ABOUT[c.about]} {c.id}"


cdef int _check_extra(Machine machine) except -1:
    """What Python's side keeps."""
    for pid in machine.tasks:
        machine.mm_of(pid)
    return 0
