# SPDX-License-Identifier: GPL-2.0-only
# Reading the counters; their names, in order, are Python tuples: ZONE_STAT_NAMES, VM_EVENT_NAMES, COST_NAMES, LOCK_NAMES.
# Kernel: mm/vmstat.c.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine

cdef void read_zone_stats(machine* m, uint64_t* out) noexcept nogil      # uint64[NR_VM_ZONE_STAT_ITEMS], all zones together
cdef void read_vm_events(machine* m, uint64_t* out) noexcept nogil       # uint64[NR_VM_EVENT_ITEMS]
cdef void read_costs(machine* m, uint64_t* out) noexcept nogil           # uint64[len(COST_NAMES)]: machine.hw.cost
