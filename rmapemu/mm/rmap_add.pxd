# SPDX-License-Identifier: GPL-2.0-only
# Adding and removing mappings. Kernel: mm/rmap.c (v3.2), page_move_anon_rmap to page_remove_rmap, and hugepage_add_*.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.types cimport machine, vm_area_struct

cdef void page_move_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void page_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void do_page_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil
cdef void page_add_new_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void page_add_file_rmap(machine* m, uint32_t pfn) noexcept nogil
cdef void page_remove_rmap(machine* m, uint32_t pfn) noexcept nogil
cdef void hugepage_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void hugepage_add_new_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void __page_set_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil
cdef void __page_check_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil

# hugetlb's, of a BUG_ON of its own
cdef void __hugepage_set_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil

cdef inline void page_dup_rmap(machine* m, uint32_t pfn) noexcept nogil:
    atomic_inc(&m.pages[pfn].mapcount)
