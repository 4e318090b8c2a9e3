# SPDX-License-Identifier: GPL-2.0-only
# A process (its address space) as a Python object: the handle, and what there is to see.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.types cimport mm_struct

cdef class ProcessView:
    cdef readonly Machine machine
    cdef readonly uint32_t pid
    cdef mm_struct* mm(self) except NULL                        # raises when it is gone
    cdef uint64_t* _entry(self, uint64_t va) except? NULL       # the leaf entry, or NULL

cdef mm_struct* mm_arg(Machine machine, object handle) except NULL      # of a Process of this machine
cdef object process_handle(Machine machine, uint32_t pid)                # the Process
cdef uint64_t address_arg(object value) except? 0xffffffffffffffff
