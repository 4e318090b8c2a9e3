# SPDX-License-Identifier: GPL-2.0-only
# A process (its address space) as a Python object.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from rmapemu.mm.types cimport mm_struct
from rmapemu.machine.machine cimport Machine

cdef class Process:
    cdef readonly Machine machine
    cdef readonly uint32_t pid
    cdef mm_struct* mm(self) except NULL            # raises when it is gone
    cdef int64_t _call(self, object what, int which, uint64_t x, uint64_t y, uint64_t z) except -1
    cdef int _access(self, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n) except -1
    cdef uint64_t* _entry(self, uint64_t va) except? NULL       # the leaf entry, or NULL

cdef mm_struct* mm_arg(Machine machine, object handle) except NULL      # of a Process of this machine
cdef uint64_t address_arg(object value) except? 0xffffffffffffffff
