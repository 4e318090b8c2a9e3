# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# What becomes of an isolated page: ask the reverse map, give it a slot, unmap it, write it out, free it, or keep it.
# Kernel: mm/vmscan.c (v3.2), page_check_references, pageout, __remove_mapping, shrink_page_list.
# Writes are done when they return; freed pages go at once, not at the end of the batch.
from libc.stdint cimport int8_t, uint32_t, uint64_t
from libc.string cimport memset
from rmapemu.hw.ops cimport rm_prefetch, rm_unlikely
from rmapemu.mm.filemap cimport __delete_from_page_cache, clear_page_dirty_for_io, writepage
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport free_pages
from rmapemu.mm.page_writeback cimport AOP_WRITEPAGE_ACTIVATE
from rmapemu.mm.rmap cimport SWAP_AGAIN, SWAP_FAIL, SWAP_MLOCK, TTU_IGNORE_ACCESS, TTU_UNMAP
from rmapemu.mm.rmap_batch cimport page_referenced_batch
from rmapemu.mm.rmap_referenced cimport page_referenced
from rmapemu.mm.rmap_unmap cimport try_to_unmap
from rmapemu.mm.swap_lru cimport page_is_file_cache
from rmapemu.mm.swap_scan cimport vm_swap_full
from rmapemu.mm.swap_slot cimport slot_put
from rmapemu.mm.swap_state cimport __delete_from_swap_cache, add_to_swap
from rmapemu.mm.swapfile cimport try_to_free_swap
from rmapemu.mm.types cimport *
from rmapemu.mm.unevictable cimport evictable, putback_lru_page
from rmapemu.mm.vmscan_plain cimport *

cdef enum:  # page_references
    PAGEREF_RECLAIM = 0
    PAGEREF_RECLAIM_CLEAN = 1
    PAGEREF_KEEP = 2
    PAGEREF_ACTIVATE = 3

cdef enum:  # pageout_t
    PAGE_KEEP = 0
    PAGE_ACTIVATE = 1
    PAGE_SUCCESS = 2
    PAGE_CLEAN = 3

cdef enum:  # what becomes of a page
    FREED = 0
    KEPT_LOCKED = 1
    KEPT = 2
    ACTIVATED = 3
    CULLED = 4


cdef inline bint page_mapping_is(machine* m, const page* p) noexcept nogil:
    """page_mapping: the swap cache, or the file's; False: none."""
    return p.flags & PG_swapcache or (p.mapping != 0 and not p.mapping & PAGE_MAPPING_ANON)


cdef inline int page_check_references(machine* m, uint32_t pfn, int ptes) noexcept nogil:
    """ptes: what page_referenced says, -1 where it has not been asked yet."""
    cdef page* p = &m.pages[pfn]
    cdef uint64_t vm_flags = 0
    if ptes < 0:
        ptes = page_referenced(m, pfn, 1, 0, &vm_flags)
    cdef bint referenced_page = p.flags & PG_referenced
    p.flags &= ~<uint32_t>PG_referenced
    # mlock lost the race for the page: try_to_unmap finds out
    if vm_flags & VM_LOCKED:
        return PAGEREF_RECLAIM
    if ptes:
        if PageAnon(p):
            return PAGEREF_ACTIVATE
        # a mapped file page used once gets another round, used again it is active
        p.flags |= PG_referenced
        return PAGEREF_ACTIVATE if referenced_page else PAGEREF_KEEP
    if referenced_page and not p.flags & PG_swapbacked:
        return PAGEREF_RECLAIM_CLEAN
    return PAGEREF_RECLAIM


cdef inline int pageout(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int err
    # the isolation's and the cache's: any other reference is a user that is about to touch it
    if p.count - ((p.flags & PG_private) != 0) != 2:
        return PAGE_KEEP
    if not page_mapping_is(m, p):
        return PAGE_KEEP
    if not clear_page_dirty_for_io(m, pfn):
        return PAGE_CLEAN
    p.flags |= PG_reclaim
    err = writepage(m, pfn)
    if err == AOP_WRITEPAGE_ACTIVATE:
        p.flags &= ~<uint32_t>PG_reclaim
        return PAGE_ACTIVATE
    if not p.flags & PG_writeback:
        p.flags &= ~<uint32_t>PG_reclaim
    inc_zone_page_state(m, pfn, NR_VMSCAN_WRITE)
    return PAGE_SUCCESS


cdef inline bint __remove_mapping(machine* m, uint32_t pfn) noexcept nogil:
    """Out of its cache if nobody else has it; its count is then 0, frozen."""
    cdef page* p = &m.pages[pfn]
    cdef uint64_t entry
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"__remove_mapping")
    leaf_lock(m, LOCK_TREE)
    if p.count != 2 or p.flags & PG_dirty:
        return False
    p.count = 0
    if p.flags & PG_swapcache:
        entry = private_to_entry(m.pages[pfn].private)
        __delete_from_swap_cache(m, pfn)
        slot_put(m, entry, SWAP_HAS_CACHE)
    else:
        __delete_from_page_cache(m, pfn)
    return True


cdef inline int write_dirty(machine* m, zone* z, scan_control* sc, uint32_t pfn, int references) noexcept nogil:
    """FREED: go on to free it."""
    cdef page* p = &m.pages[pfn]
    cdef bint may_enter_fs = sc.gfp & GFP_FS or (p.flags & PG_swapcache and sc.gfp & GFP_IO)
    # only kswapd, and only when it gets difficult, writes files: the flusher does that better
    if page_is_file_cache(p) and not (sc.forced or sc.one_page) and (not m.is_kswapd or sc.priority >= DEF_PRIORITY - 2):
        z.vm_stat[NR_VMSCAN_IMMEDIATE] += 1
        p.flags |= PG_reclaim
        return KEPT_LOCKED
    if references == PAGEREF_RECLAIM_CLEAN or not may_enter_fs:
        return KEPT_LOCKED
    cdef int result = pageout(m, pfn)
    if result == PAGE_KEEP:
        return KEPT_LOCKED
    if result == PAGE_ACTIVATE:
        return ACTIVATED
    if result == PAGE_SUCCESS:
        # writepage unlocked it
        if p.flags & (PG_writeback | PG_dirty) or not trylock_page(m, pfn):
            return KEPT
        if p.flags & (PG_writeback | PG_dirty):
            return KEPT_LOCKED
    return FREED


cdef inline int unmap_page(machine* m, scan_control* sc, uint32_t pfn) noexcept nogil:
    cdef int ret = try_to_unmap(m, pfn, TTU_UNMAP | TTU_IGNORE_ACCESS if sc.forced else TTU_UNMAP)
    if ret == SWAP_FAIL:
        return ACTIVATED
    if ret == SWAP_AGAIN:
        return KEPT_LOCKED
    if ret == SWAP_MLOCK:
        return CULLED
    return FREED


cdef inline int shrink_page(machine* m, zone* z, scan_control* sc, uint32_t pfn, int ptes) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int references = PAGEREF_RECLAIM
    cdef int fate
    if not trylock_page(m, pfn):
        return KEPT
    VM_BUG_ON(m, p.flags & PG_active, b"PageActive(page)", b"shrink_page_list")
    sc.nr_scanned += 1
    if rm_unlikely(not evictable(m, pfn)):
        return CULLED
    # mapped and swap-cache pages weigh double
    if p.mapcount > 0 or p.flags & PG_swapcache:
        sc.nr_scanned += 1
    if p.flags & PG_writeback:
        return KEPT_LOCKED
    if not sc.forced:
        references = page_check_references(m, pfn, ptes)
        if references == PAGEREF_ACTIVATE:
            return ACTIVATED
        if references == PAGEREF_KEEP:
            return KEPT_LOCKED
    if PageAnon(p) and not p.flags & PG_swapcache:
        if not sc.gfp & GFP_IO:
            return KEPT_LOCKED
        if not add_to_swap(m, pfn):
            return ACTIVATED
    if p.mapcount > 0 and page_mapping_is(m, p):
        fate = unmap_page(m, sc, pfn)
        if fate != FREED:
            return fate
    if p.flags & PG_dirty:
        fate = write_dirty(m, z, sc, pfn, references)
        if fate != FREED:
            return fate
    if not page_mapping_is(m, p) or not __remove_mapping(m, pfn):
        return KEPT_LOCKED
    unlock_page(m, pfn)
    return FREED


cdef inline void activate_locked(machine* m, uint32_t pfn) noexcept nogil:
    if m.pages[pfn].flags & PG_swapcache and vm_swap_full(m):
        try_to_free_swap(m, pfn)
    VM_BUG_ON(m, m.pages[pfn].flags & PG_active, b"PageActive(page)", b"shrink_page_list")
    m.pages[pfn].flags |= PG_active
    m.vm_events[PGACTIVATE] += 1


cdef inline uint32_t look_ahead(machine* m, uint32_t pfn) noexcept nogil:
    """One step further towards the head: that page will be needed in a later batch. Between two steps there is time to fetch it.
    Only a hint: the neighbour may have moved, its links always name some page; 0: the end."""
    if pfn == 0 or pfn >= m.nr_frames:
        return 0
    pfn = m.lru[pfn].prev
    rm_prefetch(&m.pages[pfn])
    return pfn


cdef int shrink_page_list(machine* m, zone* z, scan_control* sc, uint32_t* pfn, int n, int* nr_kept, int lru) noexcept nogil:
    cdef int8_t ptes[SWAP_CLUSTER_MAX]
    cdef uint32_t inactive = m.lru[z.lru[lru]].prev if lru >= 0 else 0
    cdef uint32_t active = m.lru[z.lru[lru + LRU_ACTIVE]].prev if lru >= 0 else 0
    cdef int i, fate
    cdef int kept = 0, freed = 0
    cdef bint plain = plain_reclaims(m, sc)
    # what is asked of a page does not depend on what becomes of those before it
    if sc.forced:
        memset(ptes, 255, sizeof(ptes))
    else:
        page_referenced_batch(m, pfn, n, PG_locked | PG_writeback | PG_mlocked, ptes)
    for i in range(n):
        inactive = look_ahead(m, inactive)
        active = look_ahead(m, active)
        if plain:
            if i + SLOTS_AHEAD < n:
                fetch_slot(m, pfn[i + SLOTS_AHEAD])
            fate = PLAIN_NOT
            if ptes[i] == 0:
                fate = plain_reclaim(m, z, sc, pfn[i])
            elif plain_activate(m, sc, pfn[i], ptes[i]):
                fate = PLAIN_KEPT
            if fate == PLAIN_FREED:
                freed += 1
                continue
            if fate == PLAIN_KEPT:
                pfn[kept] = pfn[i]
                kept += 1
                continue
        fate = shrink_page(m, z, sc, pfn[i], ptes[i])
        if fate == FREED:
            free_pages(m, pfn[i], 0)
            freed += 1
            continue
        if fate == CULLED:
            if m.pages[pfn[i]].flags & PG_swapcache:
                try_to_free_swap(m, pfn[i])
            unlock_page(m, pfn[i])
            putback_lru_page(m, pfn[i])
            continue
        if fate == ACTIVATED:
            activate_locked(m, pfn[i])
        if fate != KEPT:
            unlock_page(m, pfn[i])
        VM_BUG_ON(m, m.pages[pfn[i]].flags & (PG_lru | PG_unevictable), b"PageLRU(page) || PageUnevictable(page)", b"shrink_page_list")
        pfn[kept] = pfn[i]
        kept += 1
    nr_kept[0] = kept
    return freed
