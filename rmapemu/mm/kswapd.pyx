# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# kswapd: wakes below the low watermark, sleeps above the high one.
# Kernel: mm/vmscan.c (v3.2), balance_pgdat, wakeup_kswapd, kswapd_try_to_sleep.
# It runs inside the allocation that wakes it, to its end, never nested; one zone; it never naps, for nothing else would run.
from libc.stdint cimport uint64_t
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport zone_watermark_ok
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan cimport evict_by_policy, inactive_list_is_low, reclaimable, shrink_zone
from rmapemu.mm.vmscan_list cimport shrink_active_list
from rmapemu.mm.vmscan_page cimport scan_control

cdef enum:
    KSWAPD_ZONE_BALANCE_GAP_RATIO = 100
    MAX_PASSES = 1 << 20        # far above what a balanced end takes
    MAX_IDLE_PASSES = 16        # passes over all priorities that freed nothing


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
            m.swap_token_mm = NULL          # disable_swap_token
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
    cdef int _turn
    sc.gfp = GFP_KERNEL
    sc.order = order
    sc.nr_to_reclaim = ~<uint64_t>0
    sc.nr_scanned = 0
    sc.forced = 0
    sc.one_page = 0
    for _turn in range(MAX_PASSES):
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
