# SPDX-License-Identifier: GPL-2.0-only
# Setting a machine up and taking it down: the one reservation, mem_map, physical memory, the slab, the zones.
# Kernel: init/main.c (start_kernel), mm/page_alloc.c (free_area_init). Everything is lazily backed.
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.ops cimport hw_ops
from rmapemu.mm.types cimport machine, swap_info_struct

cdef struct machine_params:
    const hw_ops* ops
    const pt_format* fmt
    uint64_t memory_bytes       # all of memory, tables included; 0 with frames
    uint64_t frames             # pages of the trace's own; tables and reserves apart; 0: memory_bytes counts
    bint key_exact
    bint zero_page              # read faults map the zero page
    bint swap_readahead

# NULL with *err = -errno (-EINVAL: too little memory to run)
cdef machine* machine_create(const machine_params* params, int* err) noexcept nogil
cdef void machine_destroy(machine* m) noexcept nogil
# Room for the arrays of a swap area of so many slots (called by swapon): 0, -ENOMEM
cdef int swap_arrays(machine* m, swap_info_struct* si, uint64_t slots) noexcept nogil
cdef uint64_t minimum_frames(const pt_format* fmt) noexcept nogil                        # least that a machine runs with
# bytes in use by all structures: mem_map, slab, page tables, keys, swap maps
cdef uint64_t kmem_footprint(machine* m) noexcept nogil
