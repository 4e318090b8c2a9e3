# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Reclaim's plan: how much of which list, how hard, until when; direct reclaim.
# Kernel: mm/vmscan.c (v3.2), get_scan_count, shrink_zone, do_try_to_free_pages.
# No slab shrinkers, no flusher, no soft limits, no compaction; every loop is bounded.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.lock cimport *
from rmapemu.mm.swap_lru cimport del_page_from_lru_list, page_lru
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan_list cimport putback_lru_pages, shrink_active_list, shrink_inactive_list
from rmapemu.mm.vmscan_page cimport scan_control, shrink_page_list


# ---------------------------------------------------------------- how much of which list
cdef uint64_t zone_reclaimable_pages(machine* m, int zone_idx) noexcept nogil:
    return reclaimable(m, &m.zones[zone_idx])


cdef inline void forget_half(zone_reclaim_stat* s, int file, uint64_t pages) noexcept nogil:
    """The ratios are floating averages: old scans count less."""
    if s.recent_scanned[file] > pages / 4:
        s.recent_scanned[file] /= 2
        s.recent_rotated[file] /= 2


cdef uint64_t scan_fractions(machine* m, zone* z, uint64_t* fraction) noexcept nogil:
    """How the pressure is shared between anon [0] and file [1]: fraction of the denominator that is returned; 0: no swap."""
    cdef zone_reclaim_stat* s = &z.reclaim_stat
    cdef uint64_t anon = list_pages(z, LRU_ACTIVE_ANON) + list_pages(z, LRU_INACTIVE_ANON)
    cdef uint64_t file = list_pages(z, LRU_ACTIVE_FILE) + list_pages(z, LRU_INACTIVE_FILE)
    if m.nr_swap_pages <= 0:
        fraction[0] = 0
        fraction[1] = 1
        return 0
    # hardly any page cache left: it alone cannot balance the zone
    if file + z.vm_stat[NR_FREE_PAGES] <= z.watermark[WMARK_HIGH]:
        fraction[0] = 1
        fraction[1] = 0
        return 1
    spin_lock(m, LOCK_LRU)
    forget_half(s, 0, anon)
    forget_half(s, 1, file)
    fraction[0] = (m.sysctl.swappiness + 1) * (s.recent_scanned[0] + 1) / (s.recent_rotated[0] + 1)
    fraction[1] = (200 - m.sysctl.swappiness + 1) * (s.recent_scanned[1] + 1) / (s.recent_rotated[1] + 1)
    spin_unlock(m, LOCK_LRU)
    return fraction[0] + fraction[1] + 1


cdef void get_scan_count(machine* m, zone* z, int priority, uint64_t* nr) noexcept nogil:
    cdef uint64_t fraction[2]
    cdef uint64_t denominator = scan_fractions(m, z, fraction)
    cdef bint noswap = denominator == 0
    cdef uint64_t scan
    cdef int lru
    if noswap:
        denominator = 1
    for lru in range(LRU_UNEVICTABLE):
        scan = list_pages(z, lru)
        if priority or noswap:
            scan >>= priority
            # kswapd has to get somewhere in a small zone too
            if scan == 0 and m.is_kswapd:
                scan = SWAP_CLUSTER_MAX
            scan = scan * fraction[lru >> 1] / denominator
        nr[lru] = scan


# ---------------------------------------------------------------- a zone
cdef inline uint64_t shrink_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int lru) noexcept nogil:
    if lru & LRU_ACTIVE:
        if inactive_list_is_low(m, z, lru >> 1):
            shrink_active_list(m, z, sc, nr, lru >> 1)
        return 0
    return shrink_inactive_list(m, z, sc, nr, lru >> 1)


cdef void shrink_zone(machine* m, zone* z, scan_control* sc) noexcept nogil:
    cdef uint64_t nr[NR_LRU_LISTS]
    cdef uint64_t reclaimed = 0
    cdef uint32_t batch
    cdef int lru
    get_scan_count(m, z, sc.priority, nr)
    while nr[LRU_INACTIVE_ANON] or nr[LRU_ACTIVE_FILE] or nr[LRU_INACTIVE_FILE]:
        for lru in range(LRU_UNEVICTABLE):
            if nr[lru]:
                batch = SWAP_CLUSTER_MAX if nr[lru] > SWAP_CLUSTER_MAX else <uint32_t>nr[lru]
                if sc.one_page:
                    batch = 1
                nr[lru] -= batch
                reclaimed += shrink_list(m, z, sc, batch, lru)
                if sc.one_page and reclaimed:
                    break
        # enough, unless this is the first gentle pass, which keeps the lists' balance
        if reclaimed >= sc.nr_to_reclaim and (sc.priority < DEF_PRIORITY or sc.one_page):
            break
    sc.nr_reclaimed += reclaimed
    if inactive_list_is_low(m, z, 0):
        shrink_active_list(m, z, sc, SWAP_CLUSTER_MAX, 0)


cdef uint64_t evict_by_policy(machine* m, zone* z, scan_control* sc, uint64_t nr) noexcept nogil:
    """The plugged-in policy names victims; each goes v3.2's way out. One that cannot go counts as new. Tries are bounded by
    the pages there are."""
    cdef uint32_t victim[SWAP_CLUSTER_MAX]
    cdef uint64_t freed = 0, tried = 0
    cdef uint64_t most = 2 * (list_pages(z, 0) + list_pages(z, 1) + list_pages(z, 2) + list_pages(z, 3)) + 1
    cdef int i, n, kept, taken
    while freed < nr and tried < most:
        n = m.policy.victims(m, m.policy.state, victim, SWAP_CLUSTER_MAX if nr - freed > SWAP_CLUSTER_MAX else <int>(nr - freed))
        if n <= 0:
            break
        tried += n
        taken = 0
        spin_lock(m, LOCK_LRU)
        for i in range(n):
            if m.pages[victim[i]].flags & PG_lru:
                del_page_from_lru_list(m, z, victim[i], page_lru(&m.pages[victim[i]]))
                m.pages[victim[i]].flags &= ~<uint32_t>(PG_lru | PG_active)
                atomic_inc(&m.pages[victim[i]].count)
                victim[taken] = victim[i]
                taken += 1
        spin_unlock(m, LOCK_LRU)
        m.vm_events[PGSCAN_KSWAPD_NORMAL if m.is_kswapd else PGSCAN_DIRECT_NORMAL] += taken
        z.pages_scanned += taken
        i = shrink_page_list(m, z, sc, victim, taken, &kept, -1)
        freed += i
        if m.is_kswapd:
            m.vm_events[KSWAPD_STEAL] += i
        m.vm_events[PGSTEAL_NORMAL] += i
        putback_lru_pages(m, z, victim, kept)
        for i in range(kept):
            if (m.pages[victim[i]].flags & (PG_lru | PG_unevictable)) == PG_lru:
                m.policy.added(m, m.policy.state, victim[i])
    sc.nr_reclaimed += freed
    return freed


# ---------------------------------------------------------------- direct reclaim
cdef uint64_t do_try_to_free_pages(machine* m, zone* z, scan_control* sc) noexcept nogil:
    if m.policy != NULL:
        return evict_by_policy(m, z, sc, sc.nr_to_reclaim)
    sc.priority = DEF_PRIORITY
    while sc.priority >= 0:
        if sc.priority == 0:
            m.swap_token_mm = NULL          # disable_swap_token
        if not z.all_unreclaimable or sc.priority == DEF_PRIORITY:
            shrink_zone(m, z, sc)
        if sc.nr_reclaimed >= sc.nr_to_reclaim:
            break
        sc.priority -= 1
    if sc.nr_reclaimed:
        return sc.nr_reclaimed
    # nothing yet, but kswapd has not given the zone up
    return not z.all_unreclaimable


cdef uint64_t reclaim_pages(machine* m, zone* z, uint64_t nr, uint32_t gfp, int order, bint one_page) noexcept nogil:
    cdef scan_control sc
    cdef uint64_t progress
    sc.gfp = gfp
    sc.order = order
    sc.priority = DEF_PRIORITY
    sc.nr_to_reclaim = nr
    sc.nr_scanned = 0
    sc.nr_reclaimed = 0
    sc.forced = m.policy != NULL
    sc.one_page = one_page
    m.in_reclaim = 1
    progress = do_try_to_free_pages(m, z, &sc)
    m.in_reclaim = 0
    return progress


cdef uint64_t try_to_free_pages(machine* m, int order, uint32_t gfp) noexcept nogil:
    count_vm_event(m, ALLOCSTALL)
    return reclaim_pages(m, &m.zones[0], SWAP_CLUSTER_MAX, gfp, order, False)


cdef bint reclaim_user_page(machine* m, uint32_t gfp) noexcept nogil:
    """No watermark keeps frames free here, so kswapd's part is one page for each that is wanted."""
    cdef uint64_t before = m.vm_events[PGSTEAL_NORMAL]
    if m.in_reclaim:
        return False
    m.is_kswapd = 1
    reclaim_pages(m, &m.zones[0], 1, gfp | GFP_KERNEL, 0, True)
    m.is_kswapd = 0
    return m.vm_events[PGSTEAL_NORMAL] != before


cdef uint64_t shrink_all(machine* m, uint64_t nr) noexcept nogil:
    cdef uint64_t before = m.vm_events[PGSTEAL_NORMAL]
    reclaim_pages(m, &m.zones[0], nr, GFP_KERNEL, 0, False)
    return m.vm_events[PGSTEAL_NORMAL] - before
