# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Pages taken off the lists and put back, and those that reclaim must leave alone: mlocked, or of a file locked in memory.
# Kernel: mm/vmscan.c (v3.2), page_evictable, isolate_lru_page, putback_lru_page, check_move_unevictable_page.
# Nobody can unlock a page between the look and the list, so evictability is not looked at twice.
from libc.errno cimport EBUSY
from libc.stdint cimport uint32_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.swap_lru cimport (
    add_page_to_lru_list, add_page_to_unevictable_list, del_page_from_lru_list, lru_cache_add_lru, page_is_file_cache, page_lru)
from rmapemu.mm.types cimport *

cdef enum:
    VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_RESERVED | VM_PFNMAP


cdef bint page_evictable(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    if not evictable(m, pfn):
        return False
    VM_BUG_ON(m, vma != NULL and p.flags & PG_lru, b"PageLRU(page)", b"is_mlocked_vma")
    if vma != NULL and (vma.vm_flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED:
        # is_mlocked_vma: a new page of a locked mapping is born mlocked
        p.flags |= PG_mlocked
        inc_zone_page_state(m, pfn, NR_MLOCK)
        count_vm_event(m, UNEVICTABLE_PGMLOCKED)
        return False
    return True


cdef int isolate_lru_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int lru
    VM_BUG_ON(m, p.count == 0, b"!page_count(page)", b"isolate_lru_page")
    if not p.flags & PG_lru:
        return -EBUSY
    spin_lock(m, LOCK_LRU)
    if rm_unlikely(not p.flags & PG_lru):
        # it went while the lock was waited for
        spin_unlock(m, LOCK_LRU)
        return -EBUSY
    lru = page_lru(p)
    atomic_inc(&p.count)
    p.flags &= ~<uint32_t>PG_lru
    del_page_from_lru_list(m, page_zone(m, pfn), pfn, lru)
    spin_unlock(m, LOCK_LRU)
    if m.policy != NULL and lru != LRU_UNEVICTABLE:
        m.policy.removed(m, m.policy.state, pfn)
    return 0


cdef void putback_lru_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef uint32_t was = p.flags
    VM_BUG_ON(m, p.flags & PG_lru, b"PageLRU(page)", b"putback_lru_page")
    p.flags &= ~<uint32_t>(PG_active | PG_unevictable)
    if evictable(m, pfn):
        lru_cache_add_lru(m, pfn, (LRU_INACTIVE_FILE if page_is_file_cache(p) else LRU_INACTIVE_ANON) + ((was & PG_active) != 0))
        if was & PG_unevictable:
            count_vm_event(m, UNEVICTABLE_PGRESCUED)
    else:
        add_page_to_unevictable_list(m, pfn)
        if not was & PG_unevictable:
            count_vm_event(m, UNEVICTABLE_PGCULLED)
    put_page(m, pfn)


cdef void check_move_unevictable_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef zone* z = page_zone(m, pfn)
    cdef bint rescued
    VM_BUG_ON(m, p.flags & PG_active, b"PageActive(page)", b"check_move_unevictable_page")
    spin_lock(m, LOCK_LRU)
    rescued = evictable(m, pfn)
    del_page_from_lru_list(m, z, pfn, LRU_UNEVICTABLE)
    if rescued:
        p.flags &= ~<uint32_t>PG_unevictable
        count_vm_event(m, UNEVICTABLE_PGRESCUED)
    # still held there: to the far end of the list
    add_page_to_lru_list(m, z, pfn, page_lru(p))
    spin_unlock(m, LOCK_LRU)
    if rescued and m.policy != NULL:
        m.policy.added(m, m.policy.state, pfn)
