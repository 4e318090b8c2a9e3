# SPDX-License-Identifier: GPL-2.0-only
# Was the page used? Kernel: mm/rmap.c (v3.2), page_referenced_one to page_referenced.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

cdef enum:
    PAGE_CHECK_ADDRESS_PMD_FLAG = 0                 # whether it is being split or not
    PAGE_CHECK_ADDRESS_PMD_NOTSPLITTING_FLAG = 1
    PAGE_CHECK_ADDRESS_PMD_SPLITTING_FLAG = 2

# References found and cleared; *vm_flags collects the flags of the VMAs that used it. memcg: 0 any, else only the mms of the group of that
# number less 1.
cdef int page_referenced(machine* m, uint32_t pfn, int is_locked, uint32_t memcg, uint64_t* vm_flags) noexcept nogil
cdef int page_referenced_anon(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil
cdef int page_referenced_file(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil
cdef int page_referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, uint32_t* mapcount,
                             uint64_t* vm_flags) noexcept nogil
# page_check_address_pmd of mm/huge_memory.c: the level-1 entry that maps the huge page at va, or NULL.
cdef uint64_t* page_check_address_pmd(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, int flag) noexcept nogil
