# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# How many users a swap slot has, and what becomes of slots that only the cache still holds.
# Kernel: mm/swapfile.c (__swap_duplicate, swap_entry_free, swap_count_continued, reuse_swap_page).
# Counts beyond a byte stand in `extra`, a number per slot, instead of continuation pages.
from libc.errno cimport EEXIST, EINVAL, ENOENT, ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.hw.pte cimport swp_offset, swp_type
from rmapemu.mm.kmem cimport should_fail
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.swap_scan cimport swap_full
from rmapemu.mm.swap_state cimport delete_from_swap_cache
from rmapemu.mm.types cimport *

cdef enum:
    CONTINUATION = 0x80000000   # in extra: there is room for counts beyond the byte
    COUNT_BASE = SWAP_MAP_MAX + 1


cdef bint vm_swap_full(machine* m) noexcept nogil:
    return swap_full(m)


# ---------------------------------------------------------------- counts
cdef inline swap_info_struct* swap_info_get(machine* m, uint64_t entry) noexcept nogil:
    """The area, swap_lock having been taken; NULL (and not taken) for what is no slot in use."""
    cdef swap_info_struct* si
    if entry == 0 or swp_type(entry) >= m.nr_swapfiles:
        return NULL
    si = &m.swap_info[swp_type(entry)]
    if not si.flags & SWP_USED or swp_offset(entry) >= si.max or si.swap_map[swp_offset(entry)] == 0:
        return NULL
    leaf_lock(m, LOCK_SWAP)
    return si


cdef bint count_down_continued(swap_info_struct* si, uint32_t offset) noexcept nogil:
    """One unit of the counts beyond the byte is broken: do any remain?"""
    si.extra[offset] -= 1
    return (si.extra[offset] & ~<uint32_t>CONTINUATION) != 0


cdef inline uint8_t swap_entry_free(machine* m, swap_info_struct* si, uint32_t offset, uint8_t usage) noexcept nogil:
    cdef uint8_t count = si.swap_map[offset]
    cdef uint8_t has_cache = count & SWAP_HAS_CACHE
    count &= ~<uint8_t>SWAP_HAS_CACHE
    if usage == SWAP_HAS_CACHE:
        VM_BUG_ON(m, not has_cache, b"!has_cache", b"swap_entry_free")
        has_cache = 0
    elif count == SWAP_MAP_SHMEM:
        count = 0
    elif (count & ~<uint8_t>COUNT_CONTINUED) <= SWAP_MAP_MAX:
        if count == COUNT_CONTINUED:
            count = SWAP_MAP_MAX | (COUNT_CONTINUED if count_down_continued(si, offset) else 0)
        else:
            count -= 1
    usage = count | has_cache
    si.swap_map[offset] = usage
    if usage == 0:
        if offset < si.lowest_bit:
            si.lowest_bit = offset
        if offset > si.highest_bit:
            si.highest_bit = offset
        if m.swap_list_next >= 0 and si.prio > m.swap_info[m.swap_list_next].prio:
            m.swap_list_next = si.type
        m.nr_swap_pages += 1
        si.inuse_pages -= 1
        if m.has_tokens:
            si.token[offset] = 0
    return usage


cdef void swap_free(machine* m, uint64_t entry) noexcept nogil:
    cdef swap_info_struct* si = swap_info_get(m, entry)
    if si != NULL:
        swap_entry_free(m, si, <uint32_t>swp_offset(entry), 1)


cdef void swapcache_free(machine* m, uint64_t entry, uint32_t pfn) noexcept nogil:
    cdef swap_info_struct* si = swap_info_get(m, entry)
    if si != NULL:
        swap_entry_free(m, si, <uint32_t>swp_offset(entry), SWAP_HAS_CACHE)


cdef int add_swap_count_continuation(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    cdef swap_info_struct* si = &m.swap_info[swp_type(entry)]
    if rm_unlikely(m.fail.nth != 0) and should_fail(m, KMEM_SWAP_COUNT, gfp):
        return -ENOMEM
    si.extra[swp_offset(entry)] |= CONTINUATION
    return 0


cdef inline int count_up(swap_info_struct* si, uint32_t offset, uint8_t usage) noexcept nogil:
    cdef uint8_t count = si.swap_map[offset]
    cdef uint8_t has_cache = count & SWAP_HAS_CACHE
    count &= ~<uint8_t>SWAP_HAS_CACHE
    if usage == SWAP_HAS_CACHE:
        if has_cache:
            return -EEXIST
        if count == 0:
            return -ENOENT
        has_cache = SWAP_HAS_CACHE
    elif count == 0 and not has_cache:
        return -ENOENT
    elif (count & ~<uint8_t>COUNT_CONTINUED) < SWAP_MAP_MAX:
        count += usage
    elif (count & ~<uint8_t>COUNT_CONTINUED) > SWAP_MAP_MAX:
        return -EINVAL
    elif si.extra[offset] & CONTINUATION:
        # saturates, far above any number of mappings
        if (si.extra[offset] & ~<uint32_t>CONTINUATION) < <uint32_t>CONTINUATION - 1:
            si.extra[offset] += 1
        count = COUNT_CONTINUED
    else:
        return -ENOMEM
    si.swap_map[offset] = count | has_cache
    return 0


cdef inline int __swap_duplicate(machine* m, uint64_t entry, uint8_t usage) noexcept nogil:
    cdef swap_info_struct* si
    cdef int err = -EINVAL
    if swp_type(entry) >= MAX_SWAPFILES or swp_type(entry) >= m.nr_swapfiles:
        return -EINVAL
    si = &m.swap_info[swp_type(entry)]
    if swp_offset(entry) >= si.max:
        return -EINVAL
    leaf_lock(m, LOCK_SWAP)
    err = count_up(si, <uint32_t>swp_offset(entry), usage)
    return err


cdef int swap_duplicate(machine* m, uint64_t entry) noexcept nogil:
    cdef int err = __swap_duplicate(m, entry, 1)
    if rm_likely(err == 0):
        return 0
    while err == -ENOMEM:
        err = add_swap_count_continuation(m, entry, GFP_ATOMIC)
        if err:
            return err
        err = __swap_duplicate(m, entry, 1)
    return err


cdef int swapcache_prepare(machine* m, uint64_t entry) noexcept nogil:
    return __swap_duplicate(m, entry, SWAP_HAS_CACHE)


cdef void swap_shmem_alloc(machine* m, uint64_t entry) noexcept nogil:
    __swap_duplicate(m, entry, SWAP_MAP_SHMEM)


cdef uint32_t swap_count(machine* m, uint64_t entry) noexcept nogil:
    cdef const swap_info_struct* si = &m.swap_info[swp_type(entry)]
    cdef uint32_t offset = <uint32_t>swp_offset(entry)
    cdef uint32_t count
    if swp_type(entry) >= m.nr_swapfiles or swp_offset(entry) >= si.max:
        return 0
    count = si.swap_map[offset] & ~<uint32_t>SWAP_HAS_CACHE
    if count == SWAP_MAP_SHMEM:
        return 1
    return (count & ~<uint32_t>COUNT_CONTINUED) + (si.extra[offset] & ~<uint32_t>CONTINUATION) * COUNT_BASE


cdef inline uint32_t page_swap_byte(machine* m, uint32_t pfn) noexcept nogil:
    cdef uint64_t entry = private_to_entry(m.private[pfn])
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
        p.count += 1
        if (p.flags & (PG_swapcache | PG_writeback)) == PG_swapcache and (p.mapcount == 0 or swap_full(m)):
            delete_from_swap_cache(m, pfn)
            p.flags |= PG_dirty
        unlock_page(m, pfn)
        put_page(m, pfn)
    return 1
