# SPDX-License-Identifier: GPL-2.0-only
# A process with its mappings.
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.base cimport op_t
from rmapemu.machine.process_view cimport ProcessView

cdef class ProcessMap(ProcessView):
    cdef int64_t _call(self, object what, op_t op, uint64_t x, uint64_t y, uint64_t z) except -1
