# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The LRU lists: onto them, off them, up and down.
# Kernel: mm/swap.c (__lru_cache_add, activate_page, mark_page_accessed, rotate_reclaimable_page, lru_deactivate_fn, release_pages).
# Pagevecs are not modelled: what v3.2 does when a pagevec is drained happens at once, each under its own lru_lock.
from libc.stdint cimport uint32_t
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport *
from rmapemu.mm.types cimport *


cdef void lru_cache_add_lru(machine* m, uint32_t pfn, int lru) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef uint32_t both = PG_active | PG_unevictable
    VM_BUG_ON(m, (p.flags & both) == both, b"PageActive(page) && PageUnevictable(page)", b"lru_cache_add_lru")
    VM_BUG_ON(m, p.flags & PG_lru, b"PageLRU(page)", b"lru_cache_add_lru")
    p.flags &= ~both
    __lru_cache_add(m, pfn, lru)


cdef void add_page_to_unevictable_list(machine* m, uint32_t pfn) noexcept nogil:
    leaf_lock(m, LOCK_LRU)
    m.pages[pfn].flags |= PG_unevictable | PG_lru
    add_page_to_lru_list(m, page_zone(m, pfn), pfn, LRU_UNEVICTABLE)


cdef void activate_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef zone* z = page_zone(m, pfn)
    cdef int lru
    if (p.flags & (PG_lru | PG_active | PG_unevictable)) != PG_lru:
        return
    leaf_lock(m, LOCK_LRU)
    lru = page_lru(p)
    del_page_from_lru_list(m, z, pfn, lru)
    p.flags |= PG_active
    add_page_to_lru_list(m, z, pfn, lru + LRU_ACTIVE)
    count_vm_event(m, PGACTIVATE)
    update_page_reclaim_stat(z, lru >> 1, 1)


cdef void mark_page_accessed(machine* m, uint32_t pfn) noexcept nogil:
    """inactive, unreferenced -> inactive, referenced -> active, unreferenced -> active, referenced."""
    cdef page* p = &m.pages[pfn]
    if (p.flags & (PG_active | PG_unevictable | PG_referenced | PG_lru)) == (PG_referenced | PG_lru):
        activate_page(m, pfn)
        p.flags &= ~<uint32_t>PG_referenced
    else:
        p.flags |= PG_referenced


cdef void deactivate_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef zone* z = page_zone(m, pfn)
    cdef bint active = p.flags & PG_active
    cdef int lru
    if not p.flags & PG_lru or p.flags & PG_unevictable or p.mapcount > 0:
        return
    leaf_lock(m, LOCK_LRU)
    del_page_from_lru_list(m, z, pfn, page_lru(p))
    p.flags &= ~<uint32_t>(PG_active | PG_referenced)
    lru = page_lru(p)
    if p.flags & (PG_writeback | PG_dirty):
        # not to be had yet: PG_reclaim moves it to the tail when the write ends
        add_page_to_lru_list(m, z, pfn, lru)
        p.flags |= PG_reclaim
    else:
        add_page_to_lru_tail(m, z, pfn, lru)
        count_vm_event(m, PGROTATED)
    if active:
        count_vm_event(m, PGDEACTIVATE)
    update_page_reclaim_stat(z, lru >> 1, 0)


cdef void rotate_reclaimable_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef zone* z = page_zone(m, pfn)
    cdef int lru = page_lru(p)
    if (p.flags & (PG_locked | PG_dirty | PG_active | PG_unevictable | PG_lru)) != PG_lru:
        return
    leaf_lock(m, LOCK_LRU)
    del_page_from_lru_list(m, z, pfn, lru)
    add_page_to_lru_tail(m, z, pfn, lru)
    count_vm_event(m, PGROTATED)


cdef void lru_del_freed(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef bint evictable = not p.flags & PG_unevictable
    leaf_lock(m, LOCK_LRU)
    VM_BUG_ON(m, not p.flags & PG_lru, b"!PageLRU(page)", b"__page_cache_release")
    del_page_from_lru_list(m, page_zone(m, pfn), pfn, page_lru(p))
    p.flags &= ~<uint32_t>(PG_lru | PG_active | PG_unevictable)
    if m.policy != NULL and evictable:
        m.policy.removed(m, m.policy.state, pfn)
