# SPDX-License-Identifier: GPL-2.0-only
# Belady's policy. Kernel: none.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport machine, reclaim_policy

cdef struct opt_page:
    uint64_t next               # of the frame: position of its next use
    uint32_t heap               # of the place: the page that stands there
    uint32_t place              # of the frame: its place + 1; 0: not in the heap

cdef struct opt_state:
    uint64_t bytes              # of this block, array included
    const uint64_t* next_use    # the caller's, by position
    uint64_t accesses           # length of next_use
    uint64_t position           # accesses so far
    uint32_t pages              # in the heap
    uint32_t pad
    opt_page at[1]              # then one per frame

cdef int opt_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil
