# SPDX-License-Identifier: GPL-2.0-only
# The LRU lists. Kernel: mm/swap.c, include/linux/mm_inline.h. Pagevecs are not modelled: a page goes to its list at once.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.costs cimport LOCK_LRU
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.compound cimport hpage_nr_pages
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.types cimport *

cdef inline bint page_is_file_cache(const page* p) noexcept nogil:
    return not p.flags & PG_swapbacked

cdef inline int page_lru(const page* p) noexcept nogil:
    """The list that the page is, or should be, on."""
    cdef int lru
    if p.flags & PG_unevictable:
        return LRU_UNEVICTABLE
    lru = LRU_INACTIVE_FILE if page_is_file_cache(p) else LRU_INACTIVE_ANON
    return lru + LRU_ACTIVE if p.flags & PG_active else lru

cdef inline void add_page_to_lru_list(machine* m, zone* z, uint32_t pfn, int lru) noexcept nogil:
    """To the head. The caller sets PG_lru."""
    cdef uint32_t h = z.lru[lru]
    cdef uint32_t first = m.lru[h].next
    m.lru[pfn].prev = h
    m.lru[pfn].next = first
    m.lru[first].prev = pfn
    m.lru[h].next = pfn
    z.vm_stat[NR_LRU_BASE + lru] += hpage_nr_pages(m, pfn)

cdef inline void add_page_to_lru_tail(machine* m, zone* z, uint32_t pfn, int lru) noexcept nogil:
    cdef uint32_t h = z.lru[lru]
    cdef uint32_t last = m.lru[h].prev
    m.lru[pfn].next = h
    m.lru[pfn].prev = last
    m.lru[last].next = pfn
    m.lru[h].prev = pfn
    z.vm_stat[NR_LRU_BASE + lru] += hpage_nr_pages(m, pfn)

cdef inline void del_page_from_lru_list(machine* m, zone* z, uint32_t pfn, int lru) noexcept nogil:
    cdef const list_head* links = &m.lru[pfn]
    m.lru[links.prev].next = links.next
    m.lru[links.next].prev = links.prev
    z.vm_stat[NR_LRU_BASE + lru] -= hpage_nr_pages(m, pfn)

cdef inline void update_page_reclaim_stat(zone* z, int file, int rotated) noexcept nogil:
    z.reclaim_stat.recent_scanned[file] += 1
    z.reclaim_stat.recent_rotated[file] += rotated

cdef inline void __lru_cache_add(machine* m, uint32_t pfn, int lru) noexcept nogil:
    """A page that is on no list, neither PG_active nor PG_unevictable."""
    cdef zone* z = page_zone(m, pfn)
    cdef int active = lru & LRU_ACTIVE
    leaf_lock(m, LOCK_LRU)
    m.pages[pfn].flags |= PG_lru | PG_active if active else PG_lru
    update_page_reclaim_stat(z, lru >> 1, active)
    add_page_to_lru_list(m, z, pfn, lru)
    if rm_unlikely(m.policy != NULL):
        m.policy.added(m, m.policy.state, pfn)

# clears PG_active/unevictable, sets by lru, PG_lru; policy.added
cdef void lru_cache_add_lru(machine* m, uint32_t pfn, int lru) noexcept nogil
cdef void add_page_to_unevictable_list(machine* m, uint32_t pfn) noexcept nogil
cdef void activate_page(machine* m, uint32_t pfn) noexcept nogil
cdef void deactivate_page(machine* m, uint32_t pfn) noexcept nogil                   # lru_deactivate_fn
cdef void mark_page_accessed(machine* m, uint32_t pfn) noexcept nogil
cdef void rotate_reclaimable_page(machine* m, uint32_t pfn) noexcept nogil
# __page_cache_release: off the list as the page is freed; policy.removed
cdef void lru_del_freed(machine* m, uint32_t pfn) noexcept nogil
