# SPDX-License-Identifier: GPL-2.0-only
# The buddy allocator and its watermarks.
# Kernel: mm/page_alloc.c (alloc_pages, __alloc_pages_slowpath, free_hot_cold_page, put_page in mm/swap.c, setup_per_zone_wmarks).
# No per-cpu lists; frames never used are carved from zone.never_used_pfn instead of standing in the lists.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.ops cimport rm_likely
from rmapemu.mm.atomic cimport atomic_dec
from rmapemu.mm.types cimport machine

# pfn of 2^order frames (count 1, flags 0, mapping 0), or 0: -ENOMEM. With GFP_WAIT it wakes kswapd, then reclaims directly,
# below the min watermark only with GFP_MEMALLOC or GFP_HIGH as v3.2. With GFP_USER_PAGE and frames= the bound applies.
cdef uint32_t alloc_pages(machine* m, uint32_t gfp, int order) noexcept nogil
# count has dropped to 0 (free_hot_cold_page): checks, resets mapping, token
cdef void free_pages(machine* m, uint32_t pfn, int order) noexcept nogil
cdef void get_page(machine* m, uint32_t pfn) noexcept nogil
# the rest of put_page: the last reference (off the LRU first: release_pages), or one that was never taken
cdef void put_last_page(machine* m, uint32_t pfn) noexcept nogil
cdef bint zone_watermark_ok(machine* m, int zone_idx, int order, uint64_t mark, uint32_t gfp) noexcept nogil
cdef void setup_per_zone_wmarks(machine* m) noexcept nogil                   # from sysctl.min_free_kbytes; also inactive_ratio
# v3.2's default min_free_kbytes: 4 * sqrt(lowmem_kbytes), 128..65536
cdef uint64_t init_per_zone_wmark_min(machine* m) noexcept nogil
# what hw asks for (hw_t.alloc_table / free_table): frames flagged PG_table, NR_PAGETABLE counted
cdef uint64_t alloc_table(void* ctx, int order) noexcept nogil
cdef void free_table(void* ctx, uint64_t pa, int order) noexcept nogil

cdef inline void put_page(machine* m, uint32_t pfn) noexcept nogil:
    if rm_likely(m.pages[pfn].count > 1):
        atomic_dec(&m.pages[pfn].count)
    else:
        put_last_page(m, pfn)
