# SPDX-License-Identifier: GPL-2.0-only
# shrink_page_list of the page that nearly all of them are: anonymous, mapped once, by a VMA of no special flags, while nobody could see
# a lock. All that the general way would do, in one go: what it would take back at once (the slot's hold by the swap cache, the page's
# lock, its dirty bit) is counted and not done. Kernel: mm/vmscan.c as it runs then. Everything else goes the general way (vmscan_page).
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.costs cimport LOCK_ANON_VMA, LOCK_PAGE, LOCK_PTL, LOCK_SWAP, LOCK_TREE
from rmapemu.hw.ops cimport rm_likely, rm_prefetch, rm_unlikely
from rmapemu.hw.pte cimport pte_dirty, swp_offset, swp_type
from rmapemu.mm.buddy cimport free_one_page
from rmapemu.mm.memory cimport update_hiwater_rss
from rmapemu.mm.mmlist cimport mmlist_add
from rmapemu.mm.rmap cimport plain_walks
from rmapemu.mm.swap_scan cimport get_swap_page, vm_swap_full
from rmapemu.mm.swap_slot cimport slot_area
from rmapemu.mm.swap_state cimport __add_to_swap_cache, page_kbytes
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan_page cimport scan_control

cdef enum:  # plain_reclaim
    PLAIN_NOT = -1              # not such a page: nothing was done
    PLAIN_KEPT = 0
    PLAIN_FREED = 1

cdef enum:
    SLOTS_AHEAD = 4             # pages of the batch ahead: fetch what stands of its slot

cdef inline void fetch_slot(machine* m, uint32_t pfn) noexcept nogil:
    """What plain_reclaim reads and writes of the slot, if the page is in the swap cache, begins to come from memory."""
    cdef uint64_t entry = private_to_entry(m.pages[pfn].private)
    if rm_likely(swp_type(entry) < m.nr_swapfiles):
        rm_prefetch(m.swap_info[swp_type(entry)].swap_map + swp_offset(entry))
        rm_prefetch(m.swap_info[swp_type(entry)].cache + swp_offset(entry))

cdef inline bint plain_reclaims(const machine* m, const scan_control* sc) noexcept nogil:
    """Of the whole batch: nothing fails by injection, nothing is charged, no contents, no policy, no bound."""
    return (plain_walks(m) and (m.fail.nth | m.nr_charged | m.user_frames_max | m.has_tokens) == 0 and m.policy == NULL
            and sc.gfp & GFP_IO)

cdef inline bint plain_activate(machine* m, scan_control* sc, uint32_t pfn, int ptes) noexcept nogil:
    """page_referenced_batch has found it in use, so it is anonymous: onto the active list."""
    cdef page* p = &m.pages[pfn]
    if ptes <= 0 or p.flags & PG_active or (p.flags & PG_swapcache and vm_swap_full(m)):
        return False
    m.hw.cost.locks[LOCK_PAGE] += 1
    sc.nr_scanned += 2
    p.flags = p.flags & ~<uint32_t>PG_referenced | PG_active
    m.vm_events[PGACTIVATE] += 1
    return True

cdef inline vm_area_struct* plain_vma(machine* m, const page* p) noexcept nogil:
    """The only VMA that the page is mapped in, once and by nobody else; NULL: not a plain page. That it is the only one of its anon_vma,
    neither locked nor huge, and covers the page, is why page_referenced_batch answered."""
    cdef uint32_t must = PG_uptodate | PG_swapbacked
    cdef uint32_t must_not = (PG_locked | PG_active | PG_private | PG_writeback | PG_mlocked | PG_hwpoison | PG_head | PG_tail | PG_huge
                              | PG_unevictable | PG_reserved | PG_slab | PG_compound_lock)
    if (p.flags & (must | must_not)) != must or p.mapcount != 1 or p.count != (3 if p.flags & PG_swapcache else 2):
        return NULL
    return page_anon_vma(m, p).head.vma

cdef inline int plain_kept(machine* m, uint32_t pfn, uint64_t entry, bint activate) noexcept nogil:
    """It could not be unmapped after all. What was only counted is done."""
    cdef page* p = &m.pages[pfn]
    if entry != 0:
        p.flags |= PG_locked
        m.hw.cost.locks[LOCK_TREE] -= 1
        __add_to_swap_cache(m, pfn, entry, 0)
        p.flags = p.flags & ~<uint32_t>PG_locked | PG_dirty
    if activate:
        p.flags |= PG_active
        m.vm_events[PGACTIVATE] += 1
    return PLAIN_KEPT

cdef inline bint plain_dirty(machine* m, uint32_t pfn, uint64_t old, bint dirty) noexcept nogil:
    """Is it dirty, now that its entry is gone? The entry's bit and the key's come to the page, under the tree's lock if that is news."""
    cdef bint found = pte_dirty(m.hw.fmt, old)
    if m.hw.skey != NULL and m.hw.ops.page_test_and_clear_dirty(&m.hw, pfn, 1):
        found = True
    if found and not dirty:
        m.hw.cost.locks[LOCK_TREE] += 1
    return found or dirty

cdef inline void plain_written(machine* m, zone* z) noexcept nogil:
    """pageout, swap_writepage: the slot is asked for users, the tree is tagged twice, the page is locked again."""
    m.hw.cost.locks[LOCK_SWAP] += 1
    m.hw.cost.locks[LOCK_TREE] += 2
    m.hw.cost.locks[LOCK_PAGE] += 1
    m.vm_events[PSWPOUT] += 1
    m.vm_events[PGPGOUT] += page_kbytes(m)
    z.vm_stat[NR_WRITTEN] += 1
    z.vm_stat[NR_VMSCAN_WRITE] += 1

cdef inline void plain_unmapped(machine* m, mm_struct* mm) noexcept nogil:
    """try_to_unmap_one, after the entry."""
    m.hw.cost.cache_flush_page += 1
    m.hw.cost.locks[LOCK_SWAP] += 1
    update_hiwater_rss(mm)
    mmlist_add(m, mm)
    mm.rss_stat[MM_ANONPAGES] -= 1
    mm.rss_stat[MM_SWAPENTS] += 1

cdef inline void plain_free(machine* m, zone* z, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    z.vm_stat[NR_ANON_PAGES] -= 1
    p.mapping = 0
    p.mapcount = 0
    p.index = 0
    p.count = 0
    m.pages[pfn].private = 0
    m.vm_events[PGFREE] += 1
    free_one_page(m, z, pfn, 0)

cdef inline int plain_reclaim(machine* m, zone* z, scan_control* sc, uint32_t pfn) noexcept nogil:
    """page_referenced_batch has found it not in use: a slot, out of the page table, written, freed."""
    cdef page* p = &m.pages[pfn]
    cdef vm_area_struct* vma = plain_vma(m, p)
    cdef swap_info_struct* si
    cdef uint64_t entry, old = 0
    cdef uint32_t offset
    cdef bint cached = p.flags & PG_swapcache
    cdef int seen
    if rm_unlikely(vma == NULL):
        return PLAIN_NOT
    if cached:
        entry = private_to_entry(m.pages[pfn].private)
        si = slot_area(m, entry)
        # the cache has the slot, and there is room for one more user; a slot that the cache does not have would be a BUG
        if rm_unlikely(si == NULL or <uint8_t>(si.swap_map[swp_offset(entry)] - SWAP_HAS_CACHE) >= SWAP_MAP_MAX):
            return PLAIN_NOT
    elif rm_unlikely(m.nr_swap_pages <= 0):
        return PLAIN_NOT
    m.hw.cost.locks[LOCK_PAGE] += 1
    sc.nr_scanned += 2
    p.flags &= ~<uint32_t>PG_referenced
    if not cached:
        entry = get_swap_page(m)
        if rm_unlikely(entry == 0):
            return plain_kept(m, pfn, 0, True)
        si = &m.swap_info[swp_type(entry)]
        m.hw.cost.locks[LOCK_TREE] += 1
    m.hw.cost.rmap_walks += 1
    m.hw.cost.rcu_read_lock += 1
    m.hw.cost.vmas_visited += 1
    m.hw.cost.locks[LOCK_ANON_VMA] += 1
    seen = m.hw.ops.swap_out_old(&m.hw, &vma.vm_mm.hw, vma.vm_start + ((p.index - vma.vm_pgoff) << m.page_shift), pfn, entry, &old)
    m.hw.cost.locks[LOCK_PTL] += seen != -1
    if rm_unlikely(seen != 0):
        return plain_kept(m, pfn, 0 if cached else entry, seen == 1)
    plain_unmapped(m, vma.vm_mm)
    if plain_dirty(m, pfn, old, not cached or p.flags & PG_dirty):
        plain_written(m, z)
    # __remove_mapping
    m.hw.cost.locks[LOCK_TREE] += 1
    m.hw.cost.locks[LOCK_SWAP] += 1
    offset = <uint32_t>swp_offset(entry)
    si.swap_map[offset] = (si.swap_map[offset] & ~<uint8_t>SWAP_HAS_CACHE) + 1
    if cached:
        si.cache[offset] = 0
        m.nr_swapcache_pages -= 1
        z.vm_stat[NR_FILE_PAGES] -= 1
    plain_free(m, z, pfn)
    return PLAIN_FREED
