# SPDX-License-Identifier: GPL-2.0-only
# Write-protecting and cleaning a file page's shared mappings. Kernel: mm/rmap.c (v3.2), page_mkclean.
from libc.stdint cimport uint32_t
from rmapemu.mm.types cimport machine

cdef int page_mkclean(machine* m, uint32_t pfn) noexcept nogil
