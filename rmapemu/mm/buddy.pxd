# SPDX-License-Identifier: GPL-2.0-only
# The buddy lists. Kernel: mm/page_alloc.c, the half below __alloc_pages.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport *

# pfn off the lists, flags 0; 0: none. NR_FREE_PAGES is the caller's
cdef uint32_t rmqueue(machine* m, zone* z, int order, int mt) noexcept nogil
# onto the lists, merged with its free buddies
cdef void merge_block(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil

cdef inline int pageblock_type(const machine* m, uint32_t pfn) noexcept nogil:
    return MIGRATE_MOVABLE - m.pageblock[pfn >> PAGEBLOCK_LG2]

cdef inline void list_block(machine* m, zone* z, uint32_t pfn, int order, int mt) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef uint32_t first = z.free[order].head[mt]
    p.flags = PG_buddy
    p.private = order
    m.lru[pfn].prev = 0
    m.lru[pfn].next = first
    if first:
        m.lru[first].prev = pfn
    z.free[order].head[mt] = pfn
    z.free[order].nr_free += 1

cdef inline bint buddy_is_free(const machine* m, const zone* z, uint32_t pfn, int order) noexcept nogil:
    """page_is_buddy: as a block of the same order."""
    cdef uint32_t buddy = pfn ^ (<uint32_t>1 << order)
    if buddy < z.zone_start_pfn or buddy >= z.never_used_pfn:
        return False
    return m.pages[buddy].flags & PG_buddy and m.pages[buddy].private == <uint32_t>order

cdef inline void free_one_page(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil:
    """Back to the lists; the zone is worth scanning again."""
    z.all_unreclaimable = 0
    z.pages_scanned = 0
    z.vm_stat[NR_FREE_PAGES] += <uint64_t>1 << order
    if order == 0 and not buddy_is_free(m, z, pfn, 0):
        list_block(m, z, pfn, 0, pageblock_type(m, pfn))
    else:
        merge_block(m, z, pfn, order)
