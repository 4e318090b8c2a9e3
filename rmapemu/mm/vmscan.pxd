# SPDX-License-Identifier: GPL-2.0-only
# Reclaim. Kernel: mm/vmscan.c of v3.2.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine
from rmapemu.mm.unevictable cimport check_move_unevictable_page, isolate_lru_page, page_evictable, putback_lru_page

cdef uint64_t try_to_free_pages(machine* m, int order, uint32_t gfp) noexcept nogil  # direct reclaim: pages reclaimed (did_some_progress)
cdef void wakeup_kswapd(machine* m, int zone_idx, int order) noexcept nogil          # runs kswapd to its end (balance_pgdat)
cdef bint reclaim_user_page(machine* m, uint32_t gfp) noexcept nogil                 # frames=: makes one page's room; False: nothing can go
cdef uint64_t zone_reclaimable_pages(machine* m, int zone_idx) noexcept nogil
cdef uint64_t shrink_all(machine* m, uint64_t nr) noexcept nogil                     # reclaim nr pages on request (drop_caches-like, tests)
