# SPDX-License-Identifier: GPL-2.0-only
# The functions of mm/rmap.c by their names.
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.bench cimport Bench
from rmapemu.machine.base cimport op_t

cdef class Rmap(Bench):
    cdef int64_t _run(self, op_t op, object page, object vma, uint64_t x, uint64_t* a) except? -100000
    cdef object _link(self, op_t op, object vma, object other)
    cdef object _add(self, op_t op, object page, object vma, object address)
    cdef object _unmap(self, op_t op, object page, object flags)
