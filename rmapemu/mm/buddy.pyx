# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Free frames in blocks of 2^order by mobility; blocks are split to be given and merge with their buddies when they come back.
# Kernel: mm/page_alloc.c (__free_one_page, expand, __rmqueue_smallest, __rmqueue_fallback, __rmqueue).
# Frames never used stand in no list until a block of them is carved. Of a pageblock that changes sides only the block taken moves.
from libc.stdint cimport uint32_t, uint8_t
from rmapemu.mm.types cimport *


cdef inline void set_pageblock_type(machine* m, uint32_t pfn, int mt) noexcept nogil:
    m.pageblock[pfn >> PAGEBLOCK_LG2] = <uint8_t>(MIGRATE_MOVABLE - mt)


cdef inline void unlist_block(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef list_head* links = &m.lru[pfn]
    cdef int mt
    if links.next:
        m.lru[links.next].prev = links.prev
    if links.prev:
        m.lru[links.prev].next = links.next
    else:
        # a first block: its list is the one that names it (the pageblock's type may have changed since it was listed)
        mt = pageblock_type(m, pfn)
        if z.free[order].head[mt] != pfn:
            mt = 0
            while z.free[order].head[mt] != pfn:
                mt += 1
        z.free[order].head[mt] = links.next
    p.flags = 0
    p.private = 0
    z.free[order].nr_free -= 1


cdef void merge_block(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil:
    cdef int mt = pageblock_type(m, pfn)
    while order < MAX_ORDER - 1 and buddy_is_free(m, z, pfn, order):
        unlist_block(m, z, pfn ^ (<uint32_t>1 << order), order)
        pfn &= ~(<uint32_t>1 << order)
        order += 1
    list_block(m, z, pfn, order, mt)


cdef uint32_t expand(machine* m, zone* z, uint32_t pfn, int low, int high, int mt) noexcept nogil:
    """The first 2^low frames of a block of 2^high; the upper halves go back."""
    while high > low:
        high -= 1
        list_block(m, z, pfn + (<uint32_t>1 << high), high, mt)
    return pfn


cdef int carve(machine* m, zone* z) noexcept nogil:
    """The next block of frames never used comes onto the lists: its order; -1 when there is none left."""
    cdef uint32_t pfn = z.never_used_pfn
    cdef uint32_t left = z.zone_start_pfn + z.spanned_pages - pfn
    cdef int order = 0
    if left == 0:
        return -1
    while order < MAX_ORDER - 1 and not pfn & (<uint32_t>1 << order) and left >= <uint32_t>2 << order:
        order += 1
    z.never_used_pfn = pfn + (<uint32_t>1 << order)
    list_block(m, z, pfn, order, pageblock_type(m, pfn))
    return order


cdef uint32_t rmqueue_smallest(machine* m, zone* z, int order, int mt) noexcept nogil:
    cdef int o
    cdef uint32_t pfn
    for o in range(order, MAX_ORDER):
        pfn = z.free[o].head[mt]
        if pfn:
            unlist_block(m, z, pfn, o)
            return expand(m, z, pfn, order, o, mt)
    return 0


cdef inline int fallback_type(int mt, int i) noexcept nogil:
    """The i-th choice (from 1) instead of mt: the unmovable and the reclaimable take each other's first, the movable takes theirs."""
    if mt == MIGRATE_MOVABLE:
        return MIGRATE_RECLAIMABLE if i == 1 else MIGRATE_UNMOVABLE
    return 1 - mt if i == 1 else MIGRATE_MOVABLE


cdef uint32_t rmqueue_fallback(machine* m, zone* z, int order, int mt) noexcept nogil:
    """Another mobility's largest block; a large one changes sides with its pageblock."""
    cdef int o = MAX_ORDER - 1
    cdef int i, k, other
    cdef uint32_t pfn
    while o >= order:
        for i in range(1, MIGRATE_TYPES):
            other = fallback_type(mt, i)
            pfn = z.free[o].head[other]
            if pfn:
                unlist_block(m, z, pfn, o)
                if o >= PAGEBLOCK_LG2:
                    for k in range(1 << (o - PAGEBLOCK_LG2)):
                        set_pageblock_type(m, pfn + (<uint32_t>k << PAGEBLOCK_LG2), mt)
                    other = mt
                elif o >= PAGEBLOCK_LG2 // 2 or mt == MIGRATE_RECLAIMABLE:
                    other = mt
                return expand(m, z, pfn, order, o, other)
        o -= 1
    return 0


cdef uint32_t rmqueue(machine* m, zone* z, int order, int mt) noexcept nogil:
    """Untouched memory stands for movable blocks of the largest order: others break one of those before any smaller one."""
    cdef uint32_t pfn = rmqueue_smallest(m, z, order, mt)
    cdef int carved = 0
    while pfn == 0 and carved >= 0 and (mt == MIGRATE_MOVABLE or carved < MAX_ORDER - 1):
        carved = carve(m, z)
        if carved >= 0 and mt == MIGRATE_MOVABLE:
            pfn = rmqueue_smallest(m, z, order, mt)
    return pfn if pfn else rmqueue_fallback(m, z, order, mt)
