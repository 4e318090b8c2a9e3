# SPDX-License-Identifier: GPL-2.0-only
# The reverse map of KSM pages, over the rmap_items of a stable node. Kernel: mm/ksm.c (v3.2), what mm/rmap.c calls of it.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.rmap_walk cimport rmap_one_t
from rmapemu.mm.types cimport machine, stable_node, page

cdef int page_referenced_ksm(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil
cdef int try_to_unmap_ksm(machine* m, uint32_t pfn, int flags) noexcept nogil
cdef int rmap_walk_ksm(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil
cdef stable_node* page_stable_node(machine* m, const page* p) noexcept nogil         # NULL: none (any more)
