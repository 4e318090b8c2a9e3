# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# check(): a census of frames, lists and counters, compared with what the machine says. Kernel: none; an fsck.
# Reads only, without the GIL; the address spaces' and anon_vmas' part stands in census_mm, the files' and swap's in census_files.
from libc.errno cimport ENOMEM
from libc.stdlib cimport calloc, free
from libc.stdint cimport int64_t, uint8_t, uint32_t
from rmapemu.mm.compound cimport hpage_nr_pages
from rmapemu.mm.swap_lru cimport page_lru
from rmapemu.mm.types cimport *


cdef int census_init(census* c, machine* m) noexcept nogil:
    cdef int t
    c.nr_frames = m.nr_frames + 2 * NR_LRU_LISTS
    c.mapped = <uint32_t*>calloc(c.nr_frames, 4)
    c.listed = <uint32_t*>calloc(c.nr_frames, 4)
    c.cached = <uint8_t*>calloc(c.nr_frames, 1)
    c.slots = <uint32_t**>calloc(MAX_SWAPFILES, sizeof(uint32_t*))
    c.shmem_slots = <uint8_t**>calloc(MAX_SWAPFILES, sizeof(uint8_t*))
    c.free_avs = <uint8_t*>calloc(m.kmem[KMEM_ANON_VMA].used_bytes // sizeof(anon_vma) + 1, 1)
    if c.mapped == NULL or c.listed == NULL or c.cached == NULL or c.slots == NULL or c.shmem_slots == NULL or c.free_avs == NULL:
        return -ENOMEM
    for t in range(<int>m.nr_swapfiles):
        c.slots[t] = <uint32_t*>calloc(m.swap_info[t].max, 4)
        c.shmem_slots[t] = <uint8_t*>calloc(m.swap_info[t].max, 1)
        if c.slots[t] == NULL or c.shmem_slots[t] == NULL:
            return -ENOMEM
    return 0


cdef void census_free(census* c, machine* m) noexcept nogil:
    cdef int t
    for t in range(MAX_SWAPFILES):
        if c.slots != NULL:
            free(c.slots[t])
        if c.shmem_slots != NULL:
            free(c.shmem_slots[t])
    free(c.mapped)
    free(c.listed)
    free(c.cached)
    free(c.slots)
    free(c.shmem_slots)
    free(c.free_avs)


# ---------------------------------------------------------------- LRU lists and free blocks
cdef int one_lru(census* c, machine* m, zone* z, int lru) noexcept nogil:
    cdef uint32_t head = z.lru[lru], pfn = m.lru[head].next, before = head
    cdef int64_t n = 0
    while pfn != head:
        if pfn == 0 or pfn >= m.nr_frames:
            return bad(c, b"the LRU list leads to no frame", ABOUT_PAGE, before, pfn, lru)
        if m.lru[pfn].prev != before:
            return bad(c, b"the LRU list's links disagree", ABOUT_PAGE, pfn, m.lru[pfn].prev, before)
        if c.listed[pfn]:
            return bad(c, b"on two LRU lists, or a list bites its tail", ABOUT_PAGE, pfn, lru, c.listed[pfn] - 1)
        if not m.pages[pfn].flags & PG_lru:
            return bad(c, b"on an LRU list without PG_lru", ABOUT_PAGE, pfn, lru, -1)
        if page_lru(&m.pages[pfn]) != lru:
            return bad(c, b"on another LRU list than its flags say", ABOUT_PAGE, pfn, lru, page_lru(&m.pages[pfn]))
        c.listed[pfn] = lru + 1
        n += hpage_nr_pages(m, pfn)
        before = pfn
        pfn = m.lru[pfn].next
    if m.lru[head].prev != before:
        return bad(c, b"the LRU list's tail is another page", ABOUT_PAGE, before, m.lru[head].prev, before)
    if n != <int64_t>z.vm_stat[NR_LRU_BASE + lru]:
        return bad(c, b"pages on LRU list (number of the list is the id)", ABOUT_MACHINE, lru, <int64_t>z.vm_stat[NR_LRU_BASE + lru], n)
    return 0


cdef int one_free_list(census* c, machine* m, zone* z, int order, int mt, int64_t* blocks) noexcept nogil:
    cdef uint32_t pfn = z.free[order].head[mt], before = 0, i
    while pfn != 0:
        if pfn >= z.never_used_pfn or pfn < z.zone_start_pfn or pfn & ((1 << order) - 1):
            return bad(c, b"no block of this order can begin here", ABOUT_PAGE, pfn, order, mt)
        if not m.pages[pfn].flags & PG_buddy or m.pages[pfn].private != <uint32_t>order or m.pages[pfn].count != 0:
            return bad(c, b"in a free list, but not the head of a free block of its order", ABOUT_PAGE, pfn, m.pages[pfn].private, order)
        if m.lru[pfn].prev != before:
            return bad(c, b"the free list's links disagree", ABOUT_PAGE, pfn, m.lru[pfn].prev, before)
        for i in range(<uint32_t>1 << order):
            if c.listed[pfn + i]:
                return bad(c, b"in two lists", ABOUT_PAGE, pfn + i, order, -1)
            c.listed[pfn + i] = 100
        blocks[0] += 1
        before = pfn
        pfn = m.lru[pfn].next
    return 0


cdef int free_blocks(census* c, machine* m, zone* z) noexcept nogil:
    cdef int order, mt
    cdef int64_t blocks, pages = z.zone_start_pfn + z.spanned_pages - z.never_used_pfn
    for order in range(MAX_ORDER):
        blocks = 0
        for mt in range(MIGRATE_TYPES):
            if one_free_list(c, m, z, order, mt, &blocks):
                return -1
        if blocks != <int64_t>z.free[order].nr_free:
            return bad(c, b"free blocks of an order (the id)", ABOUT_MACHINE, order, <int64_t>z.free[order].nr_free, blocks)
        pages += blocks << order
    if pages != <int64_t>z.vm_stat[NR_FREE_PAGES]:
        return bad(c, b"nr_free_pages", ABOUT_MACHINE, 0, <int64_t>z.vm_stat[NR_FREE_PAGES], pages)
    return 0


cdef int check_lists(census* c, machine* m) noexcept nogil:
    cdef int i, lru
    for i in range(<int>m.nr_zones):
        for lru in range(NR_LRU_LISTS):
            if one_lru(c, m, &m.zones[i], lru):
                return -1
        if free_blocks(c, m, &m.zones[i]):
            return -1
    return 0


# ---------------------------------------------------------------- frames and zone counters
cdef int one_frame(census* c, machine* m, uint32_t pfn, int64_t* stat) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef bint mapped = p.mapcount > 0
    if c.listed[pfn] == 100:
        if p.count != 0 or p.mapcount != 0 or c.mapped[pfn] or c.cached[pfn]:
            return bad(c, b"a free frame is referenced or mapped", ABOUT_PAGE, pfn, c.mapped[pfn] + c.cached[pfn], 0)
        return 0
    if p.flags & PG_table:
        stat[NR_PAGETABLE] += 1
        return 0 if c.mapped[pfn] == 0 else bad(c, b"a frame of page tables is mapped", ABOUT_PAGE, pfn, c.mapped[pfn], 0)
    if p.flags & (PG_reserved | PG_tail):
        return 0
    if p.count <= 0:
        return bad(c, b"neither free nor referenced: lost", ABOUT_PAGE, pfn, p.count, 1)
    if p.mapcount != <int>c.mapped[pfn]:
        return bad(c, b"mapcount differs from the entries that map it", ABOUT_PAGE, pfn, p.mapcount, c.mapped[pfn])
    if bool_of(p.flags & PG_lru) != (c.listed[pfn] != 0):
        return bad(c, b"PG_lru, but on no LRU list", ABOUT_PAGE, pfn, 1, 0)
    if not p.flags & PG_head and p.count < p.mapcount + c.cached[pfn]:
        return bad(c, b"count is less than its users: entries and caches", ABOUT_PAGE, pfn, p.count, p.mapcount + c.cached[pfn])
    if c.exact and not p.flags & PG_head and p.count > p.mapcount + c.cached[pfn]:
        return bad(c, b"a reference that nobody has: count, entries and caches", ABOUT_PAGE, pfn, p.count, p.mapcount + c.cached[pfn])
    stat[NR_ANON_PAGES] += mapped and PageAnon(p) and not p.flags & (PG_head | PG_huge)
    stat[NR_FILE_MAPPED] += mapped and not PageAnon(p) and not p.flags & PG_huge
    stat[NR_MLOCK] += (p.flags & PG_mlocked) != 0
    return 0


cdef inline bint bool_of(uint32_t x) noexcept nogil:
    return x != 0


cdef int compare_stat(census* c, machine* m, const char* what, int item, const int64_t* stat) noexcept nogil:
    cdef int64_t sum = 0
    cdef int i
    for i in range(<int>m.nr_zones):
        sum += <int64_t>m.zones[i].vm_stat[item]
    return 0 if sum == stat[item] else bad(c, what, ABOUT_MACHINE, 0, sum, stat[item])


cdef int check_frames(census* c, machine* m) noexcept nogil:
    cdef int64_t stat[NR_VM_ZONE_STAT_ITEMS]
    cdef uint32_t pfn
    cdef zone* z
    cdef int i
    for i in range(NR_VM_ZONE_STAT_ITEMS):
        stat[i] = 0
    for i in range(<int>m.nr_zones):
        z = &m.zones[i]
        for pfn in range(z.zone_start_pfn, z.never_used_pfn):
            if pfn and one_frame(c, m, pfn, stat):
                return -1
    if compare_stat(c, m, b"nr_anon_pages", NR_ANON_PAGES, stat) or compare_stat(c, m, b"nr_mapped", NR_FILE_MAPPED, stat):
        return -1
    return compare_stat(c, m, b"nr_mlock", NR_MLOCK, stat) or compare_stat(c, m, b"nr_page_table_pages", NR_PAGETABLE, stat)
