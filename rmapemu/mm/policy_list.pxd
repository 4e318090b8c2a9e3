# SPDX-License-Identifier: GPL-2.0-only
# Policies that are one list: exact LRU, FIFO, clock. Kernel: none.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport machine, reclaim_policy

cdef struct list_state:
    uint64_t bytes              # of this block, links included
    uint64_t pages              # in the list
    uint32_t link[2]            # then [next, prev] of each frame: frame 0 is the sentinel

cdef int lru_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil
cdef int fifo_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil
cdef int clock_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil
