# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Frames: watermarks, and what an allocation does when they are low.
# Kernel: mm/page_alloc.c (__alloc_pages_nodemask, __alloc_pages_slowpath, __free_one_page, __setup_per_zone_wmarks), put_page.
# No per-cpu lists; nothing is compacted, no task is killed.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.mm.atomic cimport atomic_dec, atomic_inc
from rmapemu.mm.buddy cimport free_one_page, rmqueue
from rmapemu.mm.compound cimport destroy_compound_page
from rmapemu.mm.kmem cimport should_fail
from rmapemu.mm.lock cimport *
from rmapemu.mm.memcontrol cimport uncharge_page
from rmapemu.mm.swap_lru cimport lru_del_freed
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan cimport reclaim_user_page, try_to_free_pages, wakeup_kswapd

cdef enum:
    ALLOC_HARDER = 0x10         # may go a quarter deeper below the mark
    ALLOC_HIGH = 0x20           # may go half as deep
    ALLOC_NO_WATERMARKS = 0x04
    MAX_RETRIES = 64            # bounds the slow path; progress without a free frame ends it much earlier
    CHECK_LRU = PG_lru | PG_active | PG_unevictable | PG_mlocked
    CHECK_AT_FREE = CHECK_LRU | PG_locked | PG_private | PG_writeback | PG_reserved | PG_slab | PG_swapcache | PG_compound_lock


# ---------------------------------------------------------------- watermarks
cdef inline bint watermark_ok(const zone* z, int order, uint64_t mark, int alloc_flags) noexcept nogil:
    cdef int64_t low = <int64_t>mark
    cdef int64_t free = <int64_t>z.vm_stat[NR_FREE_PAGES] - ((<int64_t>1 << order) + 1)
    cdef int o
    if alloc_flags & ALLOC_HIGH:
        low -= low / 2
    if alloc_flags & ALLOC_HARDER:
        low -= low / 4
    if free <= low:
        return False
    # blocks too small for the order do not count, and less is asked of the larger ones
    for o in range(order):
        free -= <int64_t>z.free[o].nr_free << o
        low >>= 1
        if free <= low:
            return False
    return True


cdef inline int gfp_to_alloc_flags(machine* m, uint32_t gfp) noexcept nogil:
    cdef int flags = gfp & GFP_HIGH
    if not gfp & GFP_WAIT:
        flags |= ALLOC_HARDER
    if gfp & GFP_MEMALLOC or m.in_reclaim:
        flags |= ALLOC_NO_WATERMARKS
    return flags


cdef bint zone_watermark_ok(machine* m, int zone_idx, int order, uint64_t mark, uint32_t gfp) noexcept nogil:
    return watermark_ok(&m.zones[zone_idx], order, mark, gfp & GFP_HIGH)


cdef uint64_t int_sqrt(uint64_t x) noexcept nogil:
    cdef uint64_t root = 0
    cdef uint64_t bit = <uint64_t>1 << 62
    while bit > x:
        bit >>= 2
    while bit:
        if x >= root + bit:
            x -= root + bit
            root = (root >> 1) + bit
        else:
            root >>= 1
        bit >>= 2
    return root


cdef uint64_t init_per_zone_wmark_min(machine* m) noexcept nogil:
    cdef uint64_t kbytes = int_sqrt(16 * (<uint64_t>m.zones[0].present_pages << (m.page_shift - 10)))
    return 128 if kbytes < 128 else 65536 if kbytes > 65536 else kbytes


cdef void setup_per_zone_wmarks(machine* m) noexcept nogil:
    cdef uint64_t low = m.sysctl.min_free_kbytes >> (m.page_shift - 10)
    cdef zone* z
    cdef uint64_t gigabytes
    cdef uint32_t i
    for i in range(m.nr_zones):
        z = &m.zones[i]
        if m.user_frames_max:
            low = 0
        z.watermark[WMARK_MIN] = low
        z.watermark[WMARK_LOW] = low + (low >> 2)
        z.watermark[WMARK_HIGH] = low + (low >> 1)
        gigabytes = z.present_pages >> (30 - m.page_shift)
        z.inactive_ratio = <uint32_t>int_sqrt(10 * gigabytes) if gigabytes else 1


# ---------------------------------------------------------------- allocating
cdef inline void prep_new_page(machine* m, zone* z, uint32_t pfn, int order) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    z.vm_stat[NR_FREE_PAGES] -= <uint64_t>1 << order
    m.vm_events[PGALLOC_NORMAL] += <uint64_t>1 << order
    p.flags = 0
    p.count = 1


cdef inline void take_first(machine* m, zone* z, uint32_t pfn, int mt) noexcept nogil:
    """The frame freed last comes off its list."""
    cdef uint32_t following = m.lru[pfn].next
    z.free[0].head[mt] = following
    if following:
        m.lru[following].prev = 0
    z.free[0].nr_free -= 1
    prep_new_page(m, z, pfn, 0)


cdef uint32_t get_page_from_freelist(machine* m, zone* z, int order, int mt, uint64_t mark, int alloc_flags) noexcept nogil:
    cdef uint32_t pfn
    if not alloc_flags & ALLOC_NO_WATERMARKS and not watermark_ok(z, order, mark, alloc_flags):
        return 0
    pfn = z.free[0].head[mt]
    if order == 0 and pfn != 0:
        take_first(m, z, pfn, mt)
        return pfn
    pfn = rmqueue(m, z, order, mt)
    if pfn != 0:
        prep_new_page(m, z, pfn, order)
    return pfn


cdef uint32_t may_retry(machine* m, zone* z, int zone_idx, uint32_t gfp, int order, int mt) noexcept nogil:
    """Direct reclaim, and again while it gets somewhere; 0: out of memory."""
    cdef int alloc_flags = gfp_to_alloc_flags(m, gfp)
    cdef uint64_t progress, freed
    cdef uint32_t pfn
    cdef int _turn
    for _turn in range(MAX_RETRIES):
        freed = m.vm_events[PGFREE]
        progress = try_to_free_pages(m, order, gfp)
        if progress == 0:
            break
        pfn = get_page_from_freelist(m, z, order, mt, z.watermark[WMARK_MIN], alloc_flags)
        if pfn or gfp & GFP_NORETRY:
            return pfn
        if m.vm_events[PGFREE] == freed:
            # "not yet unreclaimable" is for kswapd to decide, which would be running meanwhile
            wakeup_kswapd(m, zone_idx, order)
    # someone may have freed memory just now: a last look, at the high mark
    return get_page_from_freelist(m, z, order, mt, z.watermark[WMARK_HIGH], 0)


cdef uint32_t alloc_pages_slowpath(machine* m, zone* z, int zone_idx, uint32_t gfp, int order, int mt) noexcept nogil:
    cdef int alloc_flags = gfp_to_alloc_flags(m, gfp)
    cdef uint32_t pfn
    if not m.in_reclaim:
        wakeup_kswapd(m, zone_idx, order)
    pfn = get_page_from_freelist(m, z, order, mt, z.watermark[WMARK_MIN], alloc_flags)
    if pfn or not gfp & GFP_WAIT or m.in_reclaim:
        return pfn
    return may_retry(m, z, zone_idx, gfp, order, mt)


cdef inline int gfp_migratetype(uint32_t gfp) noexcept nogil:
    return MIGRATE_MOVABLE if gfp & GFP_MOVABLE else MIGRATE_UNMOVABLE


cdef uint32_t alloc_bounded(machine* m, uint32_t gfp, int order) noexcept nogil:
    """frames=: one page goes for each that comes once all are in use; everything else lives in the zone beside."""
    cdef uint32_t pfn
    if not gfp & GFP_USER_PAGE:
        return get_page_from_freelist(m, &m.zones[1], order, gfp_migratetype(gfp), 0, ALLOC_NO_WATERMARKS)
    while m.user_frames + (<uint32_t>1 << order) > m.user_frames_max:
        if not reclaim_user_page(m, gfp):
            return 0
    pfn = get_page_from_freelist(m, &m.zones[0], order, gfp_migratetype(gfp), 0, ALLOC_NO_WATERMARKS)
    if pfn:
        m.user_frames += <uint32_t>1 << order
    return pfn


cdef uint32_t alloc_frames(machine* m, uint32_t gfp, int order) noexcept nogil:
    cdef zone* z = &m.zones[0]
    cdef uint32_t pfn
    if m.user_frames_max:
        return alloc_bounded(m, gfp, order)
    pfn = get_page_from_freelist(m, z, order, gfp_migratetype(gfp), z.watermark[WMARK_LOW], 0)
    if rm_unlikely(pfn == 0):
        pfn = alloc_pages_slowpath(m, z, 0, gfp, order, gfp_migratetype(gfp))
    return pfn


cdef uint32_t alloc_failing(machine* m, uint32_t gfp, int order) noexcept nogil:
    return 0 if should_fail(m, KMEM_PAGE, gfp) else alloc_frames(m, gfp, order)


cdef uint32_t alloc_pages(machine* m, uint32_t gfp, int order) noexcept nogil:
    cdef zone* z = &m.zones[0]
    cdef int mt = gfp_migratetype(gfp)
    cdef uint32_t pfn = z.free[0].head[mt]
    if rm_unlikely(m.fail.nth != 0):
        return alloc_failing(m, gfp, order)
    # what nearly every allocation finds: a frame on its list, and enough of them
    if rm_likely(order == 0 and m.user_frames_max == 0 and pfn != 0 and z.vm_stat[NR_FREE_PAGES] > z.watermark[WMARK_LOW] + 2):
        take_first(m, z, pfn, mt)
        return pfn
    return alloc_frames(m, gfp, order)


# ---------------------------------------------------------------- freeing
cdef void free_pages(machine* m, uint32_t pfn, int order) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef zone* z = page_zone(m, pfn)
    if p.flags & PG_mlocked:
        p.flags &= ~<uint32_t>PG_mlocked
        z.vm_stat[NR_MLOCK] -= 1
        m.vm_events[UNEVICTABLE_MLOCKFREED] += 1
    if p.mapping & PAGE_MAPPING_ANON:
        p.mapping = 0
    VM_BUG_ON(m, p.mapcount != 0 or p.mapping != 0 or p.count != 0 or p.flags & CHECK_AT_FREE, b"bad_page", b"free_pages_check")
    p.mapping = 0
    p.mapcount = 0
    p.index = 0
    if m.has_tokens:
        m.token[pfn] = 0
    m.pages[pfn].private = 0
    if rm_unlikely(m.nr_charged != 0):
        uncharge_page(m, pfn, order)
    p.flags = 0
    m.vm_events[PGFREE] += <uint64_t>1 << order
    if rm_unlikely(m.user_frames_max != 0) and z == &m.zones[0]:
        m.user_frames -= <uint32_t>1 << order
    free_one_page(m, z, pfn, order)


cdef void get_page(machine* m, uint32_t pfn) noexcept nogil:
    VM_BUG_ON(m, m.pages[pfn].count <= 0, b"atomic_read(&page->_count) <= 0", b"get_page")
    atomic_inc(&m.pages[pfn].count)


cdef void put_last_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, p.count <= 0, b"atomic_read(&page->_count) == 0", b"put_page_testzero")
    atomic_dec(&p.count)
    if p.count == 0:
        if p.flags & PG_lru:
            lru_del_freed(m, pfn)
        free_pages(m, pfn, destroy_compound_page(m, pfn) if rm_unlikely(p.flags & PG_head) else 0)


# ---------------------------------------------------------------- page tables
cdef uint64_t alloc_table(void* ctx, int order) noexcept nogil:
    cdef machine* m = <machine*>ctx
    cdef uint32_t pfn, i
    cdef uint32_t n = <uint32_t>1 << order
    if rm_unlikely(m.fail.nth != 0) and should_fail(m, KMEM_TABLE, GFP_KERNEL):
        return 0
    pfn = alloc_frames(m, GFP_KERNEL, order)
    if pfn == 0:
        return 0
    for i in range(n):
        m.pages[pfn + i].flags |= PG_table
    page_zone(m, pfn).vm_stat[NR_PAGETABLE] += <uint64_t>1 << order
    return <uint64_t>pfn << m.page_shift


cdef void free_table(void* ctx, uint64_t pa, int order) noexcept nogil:
    cdef machine* m = <machine*>ctx
    cdef uint32_t pfn = <uint32_t>(pa >> m.page_shift)
    cdef uint32_t i
    cdef uint32_t n = <uint32_t>1 << order
    for i in range(n):
        m.pages[pfn + i].flags &= ~<uint32_t>PG_table
        # a lock goes with its table, whoever holds it
        m.nr_held_other -= m.pages[pfn + i].private == LOCK_OTHER
        m.pages[pfn + i].private = 0
    page_zone(m, pfn).vm_stat[NR_PAGETABLE] -= <uint64_t>1 << order
    m.pages[pfn].count = 0
    free_pages(m, pfn, order)
