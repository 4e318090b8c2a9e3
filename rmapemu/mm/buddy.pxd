# SPDX-License-Identifier: GPL-2.0-only
# The buddy lists. Kernel: mm/page_alloc.c, the half below __alloc_pages.
from libc.stdint cimport uint32_t
from rmapemu.mm.types cimport machine, zone

# pfn off the lists, flags 0; 0: none. NR_FREE_PAGES is the caller's
cdef uint32_t rmqueue(machine* m, zone* z, int order, int mt) noexcept nogil
# onto the lists, merged; counts NR_FREE_PAGES, the zone is worth scanning again
cdef void free_one_page(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil
