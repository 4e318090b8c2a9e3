# SPDX-License-Identifier: GPL-2.0-only
# The policy that draws lots. Kernel: none.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport machine, reclaim_policy

cdef struct random_state:
    uint64_t bytes              # of this block, arrays included
    uint64_t x                  # xorshift64* state, never 0
    uint32_t pages              # in the array
    uint32_t frames             # length of each array
    uint32_t array[2]           # then frames times {the page that stands there, where the frame stands + 1 (0: nowhere)}

cdef int random_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil
