# SPDX-License-Identifier: GPL-2.0-only
# Calling a function for each place where a page may be mapped. Kernel: mm/rmap.c (v3.2), rmap_walk.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, vm_area_struct

# SWAP_AGAIN goes on; anything else ends the walk and is its result
ctypedef int (*rmap_one_t)(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, void* arg) noexcept nogil

cdef int rmap_walk_anon(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil
cdef int rmap_walk_file(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil
cdef int rmap_walk(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil
