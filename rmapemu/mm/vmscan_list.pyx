# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Reclaim's batches: off a list's tail in one splice, to shrink_page_list or to the inactive list, and what is left back.
# Kernel: mm/vmscan.c (v3.2), isolate_lru_pages, putback_lru_pages, shrink_inactive_list, shrink_active_list.
# No lumpy reclaim, no compaction; nothing congests, nobody else isolates.
from libc.stdint cimport int8_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport rm_likely, rm_prefetch, rm_unlikely
from rmapemu.mm.atomic cimport atomic_dec, atomic_inc
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.rmap_batch cimport page_referenced_batch
from rmapemu.mm.rmap_referenced cimport page_referenced
from rmapemu.mm.swap_lru cimport add_page_to_lru_list, page_is_file_cache, page_lru
from rmapemu.mm.types cimport *
from rmapemu.mm.unevictable cimport evictable, putback_lru_page
from rmapemu.mm.vmscan_page cimport scan_control, shrink_page_list


# ---------------------------------------------------------------- a batch comes off the list
cdef int isolate_lru_pages(machine* m, zone* z, uint32_t nr, uint32_t* out, int lru) noexcept nogil:
    """Up to nr pages off the tail, in one splice, a reference on each. The lists hold no page without references."""
    cdef uint32_t h = z.lru[lru]
    cdef uint32_t pfn = m.lru[h].prev
    cdef uint32_t i, k = 0
    while k < nr and pfn != h:
        rm_prefetch(&m.pages[pfn])
        out[k] = pfn
        k += 1
        pfn = m.lru[pfn].prev
    for i in range(k):
        m.pages[out[i]].flags &= ~<uint32_t>PG_lru
        atomic_inc(&m.pages[out[i]].count)
    m.lru[h].prev = pfn
    m.lru[pfn].next = h
    z.vm_stat[NR_LRU_BASE + lru] -= k
    return k


# ---------------------------------------------------------------- back onto the lists
cdef void putback_lru_pages(machine* m, zone* z, const uint32_t* pfn, int n) noexcept nogil:
    cdef page* p
    cdef int i, lru
    spin_lock(m, LOCK_LRU)
    for i in range(n):
        p = &m.pages[pfn[i]]
        # an anonymous page that somebody has beside us
        if rm_likely((p.flags & (PG_lru | PG_mlocked | PG_unevictable | PG_swapbacked)) == PG_swapbacked and p.count > 1 and PageAnon(p)):
            lru = (p.flags & PG_active) != 0
            p.flags |= PG_lru
            p.count -= 1
            add_page_to_lru_list(m, z, pfn[i], lru)
            z.reclaim_stat.recent_rotated[0] += lru
            continue
        VM_BUG_ON(m, p.flags & PG_lru, b"PageLRU(page)", b"putback_lru_pages")
        if rm_unlikely(not evictable(m, pfn[i])):
            spin_unlock(m, LOCK_LRU)
            putback_lru_page(m, pfn[i])
            spin_lock(m, LOCK_LRU)
            continue
        p.flags |= PG_lru
        lru = page_lru(p)
        add_page_to_lru_list(m, z, pfn[i], lru)
        if lru & LRU_ACTIVE:
            z.reclaim_stat.recent_rotated[lru >> 1] += 1
        if p.count > 1:
            atomic_dec(&p.count)
        else:
            spin_unlock(m, LOCK_LRU)
            put_page(m, pfn[i])
            spin_lock(m, LOCK_LRU)
    spin_unlock(m, LOCK_LRU)


cdef int shrink_inactive_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil:
    cdef uint32_t batch[SWAP_CLUSTER_MAX]
    cdef int lru = LRU_INACTIVE_ANON + LRU_FILE * file
    cdef int taken, freed
    cdef int kept = 0
    spin_lock(m, LOCK_LRU)
    taken = isolate_lru_pages(m, z, nr, batch, lru)
    z.pages_scanned += taken
    m.vm_events[PGSCAN_KSWAPD_NORMAL if m.is_kswapd else PGSCAN_DIRECT_NORMAL] += taken
    if taken == 0:
        spin_unlock(m, LOCK_LRU)
        return 0
    z.vm_stat[NR_ISOLATED_ANON + file] += taken
    z.reclaim_stat.recent_scanned[file] += taken
    spin_unlock(m, LOCK_LRU)
    freed = shrink_page_list(m, z, sc, batch, taken, &kept, lru)
    if m.is_kswapd:
        m.vm_events[KSWAPD_STEAL] += freed
    m.vm_events[PGSTEAL_NORMAL] += freed
    putback_lru_pages(m, z, batch, kept)
    z.vm_stat[NR_ISOLATED_ANON + file] -= taken
    return freed


cdef void move_pages_to_lru(machine* m, zone* z, const uint32_t* pfn, int n, int lru) noexcept nogil:
    """move_active_pages_to_lru: the isolation's reference is dropped."""
    cdef page* p
    cdef int i
    for i in range(n):
        p = &m.pages[pfn[i]]
        p.flags |= PG_lru
        add_page_to_lru_list(m, z, pfn[i], lru)
        if p.count > 1:
            atomic_dec(&p.count)
        else:
            spin_unlock(m, LOCK_LRU)
            put_page(m, pfn[i])
            spin_lock(m, LOCK_LRU)
    if not lru & LRU_ACTIVE:
        m.vm_events[PGDEACTIVATE] += n


cdef void shrink_active_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil:
    cdef uint32_t batch[SWAP_CLUSTER_MAX]
    cdef uint32_t active[SWAP_CLUSTER_MAX]
    cdef int8_t referenced[SWAP_CLUSTER_MAX]
    cdef int lru = LRU_ACTIVE + LRU_FILE * file
    cdef int i, taken
    cdef int nr_active = 0, nr_inactive = 0, rotated = 0
    cdef uint64_t vm_flags
    spin_lock(m, LOCK_LRU)
    taken = isolate_lru_pages(m, z, nr, batch, lru)
    z.pages_scanned += taken
    z.reclaim_stat.recent_scanned[file] += taken
    m.vm_events[PGREFILL_NORMAL] += taken
    z.vm_stat[NR_ISOLATED_ANON + file] += taken
    spin_unlock(m, LOCK_LRU)
    page_referenced_batch(m, batch, taken, PG_mlocked, referenced)
    for i in range(taken):
        if rm_unlikely(not evictable(m, batch[i])):
            putback_lru_page(m, batch[i])
            continue
        vm_flags = 0
        if referenced[i] > 0 or (referenced[i] < 0 and page_referenced(m, batch[i], 0, 0, &vm_flags)):
            rotated += 1
            # a program's code that runs stays
            if vm_flags & VM_EXEC and page_is_file_cache(&m.pages[batch[i]]):
                active[nr_active] = batch[i]
                nr_active += 1
                continue
        m.pages[batch[i]].flags &= ~<uint32_t>PG_active
        batch[nr_inactive] = batch[i]
        nr_inactive += 1
    spin_lock(m, LOCK_LRU)
    z.reclaim_stat.recent_rotated[file] += rotated
    move_pages_to_lru(m, z, active, nr_active, lru)
    move_pages_to_lru(m, z, batch, nr_inactive, lru - LRU_ACTIVE)
    z.vm_stat[NR_ISOLATED_ANON + file] -= taken
    spin_unlock(m, LOCK_LRU)
