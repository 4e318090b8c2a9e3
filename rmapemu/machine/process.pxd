# SPDX-License-Identifier: GPL-2.0-only
# A process with all that it can do.
from libc.stdint cimport int64_t, uint8_t, uint64_t
from rmapemu.machine.process_map cimport ProcessMap

cdef class Process(ProcessMap):
    cdef int _access(self, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n) except -1
