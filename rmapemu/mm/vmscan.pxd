# SPDX-License-Identifier: GPL-2.0-only
# Reclaim. Kernel: mm/vmscan.c of v3.2.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.kswapd cimport wakeup_kswapd
from rmapemu.mm.types cimport *
from rmapemu.mm.unevictable cimport check_move_unevictable_page, isolate_lru_page, page_evictable, putback_lru_page
from rmapemu.mm.vmscan_page cimport scan_control

cdef uint64_t try_to_free_pages(machine* m, int order, uint32_t gfp) noexcept nogil  # direct reclaim: pages reclaimed (did_some_progress)
cdef bint reclaim_user_page(machine* m, uint32_t gfp) noexcept nogil                 # frames=: makes one page's room; False: nothing can go
cdef uint64_t zone_reclaimable_pages(machine* m, int zone_idx) noexcept nogil
cdef uint64_t shrink_all(machine* m, uint64_t nr) noexcept nogil                     # reclaim nr pages on request (drop_caches-like, tests)
# What kswapd and direct reclaim share.
cdef void shrink_zone(machine* m, zone* z, scan_control* sc) noexcept nogil
cdef uint64_t evict_by_policy(machine* m, zone* z, scan_control* sc, uint64_t nr) noexcept nogil     # pages freed, up to nr

cdef inline uint64_t list_pages(const zone* z, int lru) noexcept nogil:
    return z.vm_stat[NR_LRU_BASE + lru]


cdef inline uint64_t reclaimable(machine* m, const zone* z) noexcept nogil:
    cdef uint64_t n = list_pages(z, LRU_ACTIVE_FILE) + list_pages(z, LRU_INACTIVE_FILE)
    if m.nr_swap_pages > 0:
        n += list_pages(z, LRU_ACTIVE_ANON) + list_pages(z, LRU_INACTIVE_ANON)
    return n

cdef inline bint inactive_list_is_low(machine* m, const zone* z, int file) noexcept nogil:
    if file:
        return list_pages(z, LRU_ACTIVE_FILE) > list_pages(z, LRU_INACTIVE_FILE)
    return m.total_swap_pages != 0 and list_pages(z, LRU_INACTIVE_ANON) * z.inactive_ratio < list_pages(z, LRU_ACTIVE_ANON)
