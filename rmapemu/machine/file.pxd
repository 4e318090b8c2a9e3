# SPDX-License-Identifier: GPL-2.0-only
# An inode with its page cache as a Python object.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.mm.types cimport address_space
from rmapemu.machine.machine cimport Machine

cdef class File:
    cdef readonly Machine machine
    cdef readonly uint32_t ino
    cdef readonly uint64_t generation                        # of the number: closed files' numbers are used again
    cdef address_space* a(self) except NULL         # raises when it is gone
    cdef int64_t _do(self, int which, uint64_t x, uint64_t y, uint64_t z) except -1

cdef File file_handle(Machine machine, address_space* a)
cdef address_space* mapping_arg(Machine machine, object handle) except NULL     # of a File of this machine
