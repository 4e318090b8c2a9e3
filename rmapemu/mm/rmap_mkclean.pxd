# SPDX-License-Identifier: GPL-2.0-only
# Write-protecting and cleaning a file page's shared mappings. Kernel: mm/rmap.c (v3.2), page_mkclean.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport address_space, machine, vm_area_struct

cdef int page_mkclean_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef int page_mkclean_file(machine* m, address_space* mapping, uint32_t pfn) noexcept nogil
cdef int page_mkclean(machine* m, uint32_t pfn) noexcept nogil
