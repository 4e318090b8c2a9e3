# SPDX-License-Identifier: GPL-2.0-only
# A process with all that it can do.
from libc.stdint cimport int64_t, uint8_t, uint64_t
from rmapemu.machine.base cimport op_t
from rmapemu.machine.process_view cimport ProcessView

cdef class Process(ProcessView):
    cdef int64_t _call(self, object what, op_t op, uint64_t x, uint64_t y, uint64_t z) except -1
    cdef int _access(self, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n) except -1
