# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# How many users a swap slot has, and what becomes of slots that only the cache still holds.
# Kernel: mm/swapfile.c (__swap_duplicate, swap_entry_free, swap_count_continued, reuse_swap_page).
# Counts beyond a byte stand in `extra`, a number per slot, instead of continuation pages.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.hw.pte cimport swp_offset, swp_type
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.kmem cimport should_fail
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.swap_scan cimport vm_swap_full
from rmapemu.mm.swap_slot cimport *
from rmapemu.mm.swap_state cimport delete_from_swap_cache
from rmapemu.mm.types cimport *

cdef enum:
    CONTINUATION = 0x80000000   # in extra: there is room for counts beyond the byte
    COUNT_BASE = SWAP_MAP_MAX + 1


# ---------------------------------------------------------------- counts
cdef bint count_down_continued(swap_info_struct* si, uint32_t offset) noexcept nogil:
    si.extra[offset] -= 1
    return (si.extra[offset] & ~<uint32_t>CONTINUATION) != 0


cdef int count_up_continued(swap_info_struct* si, uint32_t offset) noexcept nogil:
    if not si.extra[offset] & CONTINUATION:
        return -ENOMEM
    # saturates, far above any number of mappings
    if (si.extra[offset] & ~<uint32_t>CONTINUATION) < <uint32_t>CONTINUATION - 1:
        si.extra[offset] += 1
    si.swap_map[offset] = COUNT_CONTINUED | si.swap_map[offset] & SWAP_HAS_CACHE
    return 0


cdef void swap_free(machine* m, uint64_t entry) noexcept nogil:
    slot_put(m, entry, 1)


cdef void swapcache_free(machine* m, uint64_t entry, uint32_t pfn) noexcept nogil:
    slot_put(m, entry, SWAP_HAS_CACHE)


cdef int add_swap_count_continuation(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    cdef swap_info_struct* si = &m.swap_info[swp_type(entry)]
    if rm_unlikely(m.fail.nth != 0) and should_fail(m, KMEM_SWAP_COUNT, gfp):
        return -ENOMEM
    si.extra[swp_offset(entry)] |= CONTINUATION
    return 0


cdef int swap_duplicate(machine* m, uint64_t entry) noexcept nogil:
    """Only missing memory is an error; where there is no such slot in use, it is as if it had worked."""
    while rm_unlikely(__swap_duplicate(m, entry, 1) == -ENOMEM):
        if add_swap_count_continuation(m, entry, GFP_ATOMIC):
            return -ENOMEM
    return 0


cdef void swap_shmem_alloc(machine* m, uint64_t entry) noexcept nogil:
    __swap_duplicate(m, entry, SWAP_MAP_SHMEM)


cdef uint32_t swap_count(machine* m, uint64_t entry) noexcept nogil:
    cdef const swap_info_struct* si = slot_area(m, entry)
    cdef uint32_t offset = <uint32_t>swp_offset(entry)
    cdef uint32_t count
    if si == NULL:
        return 0
    count = si.swap_map[offset] & ~<uint32_t>SWAP_HAS_CACHE
    if count == SWAP_MAP_SHMEM:
        return 1
    return (count & ~<uint32_t>COUNT_CONTINUED) + (si.extra[offset] & ~<uint32_t>CONTINUATION) * COUNT_BASE


cdef inline uint32_t page_swap_byte(machine* m, uint32_t pfn) noexcept nogil:
    cdef uint64_t entry = private_to_entry(m.pages[pfn].private)
    cdef swap_info_struct* si = swap_info_get(m, entry)
    cdef uint32_t count = 0
    if si != NULL:
        count = si.swap_map[swp_offset(entry)] & ~<uint32_t>SWAP_HAS_CACHE
    return count


cdef uint32_t page_swapcount(machine* m, uint32_t pfn) noexcept nogil:
    return page_swap_byte(m, pfn)


# ---------------------------------------------------------------- slots that only the cache holds
cdef bint reuse_swap_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int64_t count = p.mapcount
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"reuse_swap_page")
    if PageKsm(p):
        return False
    if count <= 1 and p.flags & PG_swapcache:
        count += page_swap_byte(m, pfn)
        if count == 1 and not p.flags & PG_writeback:
            delete_from_swap_cache(m, pfn)
            p.flags |= PG_dirty
    return count <= 1


cdef int try_to_free_swap(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"try_to_free_swap")
    if (p.flags & (PG_swapcache | PG_writeback)) != PG_swapcache or page_swap_byte(m, pfn):
        return 0
    delete_from_swap_cache(m, pfn)
    # what the slot held is only here now
    p.flags |= PG_dirty
    return 1


cdef int free_swap_and_cache(machine* m, uint64_t entry) noexcept nogil:
    cdef swap_info_struct* si
    cdef page* p
    cdef uint32_t pfn = 0
    if swp_type(entry) >= MAX_SWAPFILES:
        return 1
    si = swap_info_get(m, entry)
    if si == NULL:
        return 0
    if swap_entry_free(m, si, <uint32_t>swp_offset(entry), 1) == SWAP_HAS_CACHE:
        pfn = si.cache[swp_offset(entry)]
        if pfn and not trylock_page(m, pfn):
            pfn = 0
    if pfn:
        p = &m.pages[pfn]
        atomic_inc(&p.count)
        if (p.flags & (PG_swapcache | PG_writeback)) == PG_swapcache and (p.mapcount == 0 or vm_swap_full(m)):
            delete_from_swap_cache(m, pfn)
            p.flags |= PG_dirty
        unlock_page(m, pfn)
        put_page(m, pfn)
    return 1
