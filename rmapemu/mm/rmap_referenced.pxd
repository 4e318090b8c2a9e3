# SPDX-License-Identifier: GPL-2.0-only
# Was the page used? Kernel: mm/rmap.c (v3.2), page_referenced_one to page_referenced.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, vm_area_struct

# References found and cleared; *vm_flags collects the flags of the VMAs that used it. memcg: 0 any, else only that group's mms.
cdef int page_referenced(machine* m, uint32_t pfn, int is_locked, uint32_t memcg, uint64_t* vm_flags) noexcept nogil
cdef int page_referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, uint32_t* mapcount,
                             uint64_t* vm_flags) noexcept nogil
# A hint for a batch: fetches what page_referenced or try_to_unmap of this page will touch first.
cdef void rmap_prefetch(machine* m, uint32_t pfn) noexcept nogil
