# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench's base. Kernel: none.
# What the bench does leaves costs, events and the orders of fail_alloc as they were.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy
from rmapemu.hw.costs cimport costs_t
from rmapemu.machine.base cimport op_t, trapped, TRAPPED
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.objects cimport free_objects
from rmapemu.mm.types cimport *

from rmapemu.errors import BusyError, GoneError, OutOfMemory
from rmapemu.machine.sizes import parse_int


cdef class Bench:
    """The workbench's operations need a machine; see Lab."""

    def __init__(self, Machine machine not None):
        self.machine = machine

    cdef int open(self) except -1:
        self.machine.readable()
        if self.machine.busy and not self.machine.in_callback:
            raise BusyError("the machine is running an operation: one machine serves one thread at a time")
        self.machine.by_hand = True
        return 0

    cdef int outside(self) except -1:
        self.open()
        if self.machine.in_callback:
            raise BusyError("VMAs stay as they are while an operation waits for a Python function")
        return 0

    cdef int64_t do(self, op_t op, const uint64_t* a) except? -100000:
        cdef machine* m
        cdef costs_t cost
        cdef uint64_t events[NR_VM_EVENT_ITEMS]
        cdef uint64_t objects[KMEM_SWAP_COUNT][2]
        cdef fail_rule rule
        cdef int64_t r
        cdef int i
        self.open()
        m = self.machine.m
        cost = m.hw.cost
        memcpy(events, m.vm_events, sizeof(events))
        rule = m.fail
        m.fail.nth = 0
        for i in range(KMEM_SWAP_COUNT):
            objects[i][0] = m.kmem[i].allocated - m.kmem[i].by_bench[0]
            objects[i][1] = m.kmem[i].freed - m.kmem[i].by_bench[1]
        r = trapped(m, op, a)
        m.fail = rule
        memcpy(m.vm_events, events, sizeof(events))
        m.hw.cost = cost
        for i in range(KMEM_SWAP_COUNT):
            # not added to: an operation that waited may have had others of the bench within it
            m.kmem[i].by_bench[0] = m.kmem[i].allocated - objects[i][0]
            m.kmem[i].by_bench[1] = m.kmem[i].freed - objects[i][1]
        if r == TRAPPED:
            raise self.machine.unwound()
        if r == -ENOMEM:
            raise OutOfMemory(f"the workbench needs a frame or an object: {self.machine.lists()}")
        return r

    cdef anon_vma* av(self, object serial) except NULL:
        cdef kmem_cache* k = &self.machine.m.kmem[KMEM_ANON_VMA]
        cdef anon_vma* first = <anon_vma*>k.base
        cdef uint32_t wanted = parse_int(serial, "anon_vma", 0, 0xffffffff)
        cdef uint64_t i
        free_ones = free_objects(k)
        for i in range(1, k.used_bytes // sizeof(anon_vma)):
            if first[i].serial == wanted and i not in free_ones:
                return &first[i]
        raise GoneError(f"anon_vma {serial} is gone, or never was")
