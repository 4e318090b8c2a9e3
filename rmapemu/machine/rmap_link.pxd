# SPDX-License-Identifier: GPL-2.0-only
# The functions of mm/rmap.c that link anon_vmas and look after them, by their names.
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.base cimport op_t
from rmapemu.machine.bench cimport Bench
from rmapemu.mm.types cimport anon_vma_chain

cdef class RmapLink(Bench):
    # a[0] the page, a[1] the VMA, a[2] x; what comes back beside the result is in a[3] and a[4]
    cdef int64_t _run(self, op_t op, object page, object vma, uint64_t x, uint64_t* a) except? -100000
    cdef object _link(self, op_t op, object vma, object other)
    cdef anon_vma_chain* _avc(self, object number) except NULL      # a chain entry that is linked nowhere
    cdef object _av_op(self, op_t op, object anon_vma)              # a[2] the anon_vma: the result
    cdef object _unlock(self, op_t op, object number)               # the same, refused where the lock is not held
