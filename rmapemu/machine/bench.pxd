# SPDX-License-Identifier: GPL-2.0-only
# The workbench's base: operations of the bench itself, whose allocations never fail by order and whose costs do not count.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.machine.base cimport op_t
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.types cimport address_space, anon_vma, machine, mm_struct

cdef class Bench:
    cdef readonly Machine machine
    cdef int open(self) except -1                                       # raises when closed, or busy outside of a callback
    cdef int outside(self) except -1                                    # open, and not in a callback
    cdef int64_t do(self, op_t op, const uint64_t* a) except? -100000   # what it returned; raises MemoryError for -ENOMEM
    cdef anon_vma* av(self, object serial) except NULL                  # the live anon_vma of that serial number
