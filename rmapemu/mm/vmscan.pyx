# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Reclaim's plan: how much of which list, how hard, until when; kswapd and direct reclaim.
# Kernel: mm/vmscan.c (v3.2), get_scan_count, shrink_zone, balance_pgdat, do_try_to_free_pages.
# kswapd runs inside the allocation that wakes it, to its end; no slab shrinkers, no flusher, no soft limits; every loop is bounded.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport zone_watermark_ok
from rmapemu.mm.swap_lru cimport del_page_from_lru_list, page_lru
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan_list cimport putback_lru_pages, shrink_active_list, shrink_inactive_list
from rmapemu.mm.vmscan_page cimport scan_control, shrink_page_list

cdef enum:
    KSWAPD_ZONE_BALANCE_GAP_RATIO = 100
    MAX_PASSES = 1 << 20        # of kswapd: far above what a balanced end takes
    MAX_IDLE_PASSES = 16        # passes over all priorities that freed nothing


# ---------------------------------------------------------------- how much of which list
cdef inline uint64_t list_pages(const zone* z, int lru) noexcept nogil:
    return z.vm_stat[NR_LRU_BASE + lru]


cdef inline uint64_t reclaimable(machine* m, const zone* z) noexcept nogil:
    cdef uint64_t n = list_pages(z, LRU_ACTIVE_FILE) + list_pages(z, LRU_INACTIVE_FILE)
    if m.nr_swap_pages > 0:
        n += list_pages(z, LRU_ACTIVE_ANON) + list_pages(z, LRU_INACTIVE_ANON)
    return n


cdef uint64_t zone_reclaimable_pages(machine* m, int zone_idx) noexcept nogil:
    return reclaimable(m, &m.zones[zone_idx])


cdef inline bint inactive_list_is_low(machine* m, const zone* z, int file) noexcept nogil:
    if file:
        return list_pages(z, LRU_ACTIVE_FILE) > list_pages(z, LRU_INACTIVE_FILE)
    return m.total_swap_pages != 0 and list_pages(z, LRU_INACTIVE_ANON) * z.inactive_ratio < list_pages(z, LRU_ACTIVE_ANON)


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
                m.pages[victim[i]].count += 1
                victim[taken] = victim[i]
                taken += 1
        spin_unlock(m, LOCK_LRU)
        m.vm_events[PGSCAN_KSWAPD_NORMAL if m.is_kswapd else PGSCAN_DIRECT_NORMAL] += taken
        z.pages_scanned += taken
        i = shrink_page_list(m, z, sc, victim, taken, &kept, 0)
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


cdef inline void disable_swap_token(machine* m) noexcept nogil:
    m.swap_token_mm = NULL


# ---------------------------------------------------------------- kswapd
cdef inline bint zone_reclaimable(machine* m, const zone* z) noexcept nogil:
    return z.pages_scanned < reclaimable(m, z) * 6


cdef bint kswapd_pass(machine* m, zone* z, scan_control* sc, uint64_t* total_scanned) noexcept nogil:
    """One priority: True when the zone is in order, or cannot be brought into it."""
    cdef uint64_t gap = (<uint64_t>z.present_pages + KSWAPD_ZONE_BALANCE_GAP_RATIO - 1) / KSWAPD_ZONE_BALANCE_GAP_RATIO
    if z.all_unreclaimable and sc.priority != DEF_PRIORITY:
        return True
    # some ageing of the anon list even where nothing is needed
    if inactive_list_is_low(m, z, 0):
        shrink_active_list(m, z, sc, SWAP_CLUSTER_MAX, 0)
    if zone_watermark_ok(m, 0, sc.order, z.watermark[WMARK_HIGH], 0):
        return True
    sc.nr_scanned = 0
    if z.watermark[WMARK_LOW] < gap:
        gap = z.watermark[WMARK_LOW]
    if not zone_watermark_ok(m, 0, sc.order, z.watermark[WMARK_HIGH] + gap, 0):
        shrink_zone(m, z, sc)
        total_scanned[0] += sc.nr_scanned
        if not zone_reclaimable(m, z):
            z.all_unreclaimable = 1
    if z.all_unreclaimable or zone_watermark_ok(m, 0, sc.order, z.watermark[WMARK_HIGH], 0):
        return True
    if total_scanned[0] and sc.priority < DEF_PRIORITY - 2 and not zone_watermark_ok(m, 0, sc.order, z.watermark[WMARK_MIN], 0):
        count_vm_event(m, KSWAPD_SKIP_CONGESTION_WAIT)
    return False


cdef bint balance_once(machine* m, zone* z, scan_control* sc) noexcept nogil:
    """All priorities until the zone is in order or a batch is freed."""
    cdef uint64_t total_scanned = 0
    sc.nr_reclaimed = 0
    sc.priority = DEF_PRIORITY
    count_vm_event(m, PAGEOUTRUN)
    while sc.priority >= 0:
        if sc.priority == 0:
            disable_swap_token(m)
        if kswapd_pass(m, z, sc, &total_scanned):
            return True
        if sc.nr_reclaimed >= SWAP_CLUSTER_MAX:
            break
        sc.priority -= 1
    return False


cdef void balance_pgdat(machine* m, int order) noexcept nogil:
    cdef zone* z = &m.zones[0]
    cdef scan_control sc
    cdef int idle = 0
    cdef int i
    sc.gfp = GFP_KERNEL
    sc.order = order
    sc.nr_to_reclaim = ~<uint64_t>0
    sc.nr_scanned = 0
    sc.forced = 0
    sc.one_page = 0
    for i in range(MAX_PASSES):
        if balance_once(m, z, &sc):
            return
        if sc.nr_reclaimed < SWAP_CLUSTER_MAX:
            sc.order = 0
        idle = 0 if sc.nr_reclaimed else idle + 1
        if idle == MAX_IDLE_PASSES:
            break
    count_vm_event(m, KSWAPD_HIGH_WMARK_HIT_QUICKLY)


cdef void policy_balance(machine* m) noexcept nogil:
    """kswapd under a plugged-in policy: page by page to the high mark."""
    cdef zone* z = &m.zones[0]
    cdef scan_control sc
    sc.gfp = GFP_KERNEL
    sc.order = 0
    sc.priority = 0
    sc.nr_scanned = 0
    sc.nr_reclaimed = 0
    sc.forced = 1
    sc.one_page = 0
    count_vm_event(m, PAGEOUTRUN)
    while not zone_watermark_ok(m, 0, 0, z.watermark[WMARK_HIGH], 0):
        if evict_by_policy(m, z, &sc, 1) == 0:
            z.all_unreclaimable = 1
            return


cdef void wakeup_kswapd(machine* m, int zone_idx, int order) noexcept nogil:
    if zone_watermark_ok(m, zone_idx, order, m.zones[zone_idx].watermark[WMARK_LOW], 0) or m.in_reclaim:
        return
    # under a spinlock it could not have run yet: the next allocation that may sleep lets it
    if m.held_mask >> LOCK_I_MMAP:
        m.kswapd_wanted = 1
        return
    m.kswapd_wanted = 0
    m.in_reclaim = 1
    m.is_kswapd = 1
    if m.policy != NULL:
        policy_balance(m)
    else:
        balance_pgdat(m, order)
    m.is_kswapd = 0
    m.in_reclaim = 0


# ---------------------------------------------------------------- direct reclaim
cdef uint64_t do_try_to_free_pages(machine* m, zone* z, scan_control* sc) noexcept nogil:
    if m.policy != NULL:
        return evict_by_policy(m, z, sc, sc.nr_to_reclaim)
    sc.priority = DEF_PRIORITY
    while sc.priority >= 0:
        if sc.priority == 0:
            disable_swap_token(m)
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
