# SPDX-License-Identifier: GPL-2.0-only
# One slot of a swap area: how many entries name it, and whether the swap cache has it, in a byte.
# Kernel: mm/swapfile.c (swap_info_get, swap_entry_free, __swap_duplicate). The callers take swap_lock.
from libc.errno cimport EEXIST, EINVAL, ENOENT
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.costs cimport LOCK_SWAP
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.hw.pte cimport swp_offset, swp_type
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport VM_BUG_ON
from rmapemu.mm.swapfile cimport count_down_continued, count_up_continued
from rmapemu.mm.types cimport *

cdef inline swap_info_struct* slot_area(machine* m, uint64_t entry) noexcept nogil:
    """The area that has the slot, NULL where there is none."""
    cdef swap_info_struct* si
    if rm_unlikely(swp_type(entry) >= m.nr_swapfiles):
        return NULL
    si = &m.swap_info[swp_type(entry)]
    return si if rm_likely(swp_offset(entry) < si.max) else NULL

cdef inline swap_info_struct* swap_info_get(machine* m, uint64_t entry) noexcept nogil:
    """The area, swap_lock having been taken; NULL (and not taken) for what is no slot in use."""
    cdef swap_info_struct* si = slot_area(m, entry)
    if rm_unlikely(entry == 0 or si == NULL or si.swap_map[swp_offset(entry)] == 0):
        return NULL
    leaf_lock(m, LOCK_SWAP)
    return si

cdef inline void slot_free(machine* m, swap_info_struct* si, uint32_t offset) noexcept nogil:
    """Nobody has it any more."""
    if offset < si.lowest_bit:
        si.lowest_bit = offset
    if offset > si.highest_bit:
        si.highest_bit = offset
    if m.swap_list_next >= 0 and si.prio > m.swap_info[m.swap_list_next].prio:
        m.swap_list_next = si.type
    m.nr_swap_pages += 1
    si.inuse_pages -= 1
    if rm_unlikely(m.has_tokens):
        si.token[offset] = 0

cdef inline uint8_t swap_entry_free(machine* m, swap_info_struct* si, uint32_t offset, uint8_t usage) noexcept nogil:
    """An entry less (usage 1), or the cache lets go (SWAP_HAS_CACHE): what remains in the byte."""
    cdef uint8_t count = si.swap_map[offset]
    cdef uint8_t has_cache = count & SWAP_HAS_CACHE
    count &= ~<uint8_t>SWAP_HAS_CACHE
    if usage == SWAP_HAS_CACHE:
        VM_BUG_ON(m, not has_cache, b"!has_cache", b"swap_entry_free")
        has_cache = 0
    elif rm_unlikely(count == SWAP_MAP_SHMEM):
        count = 0
    elif (count & ~<uint8_t>COUNT_CONTINUED) <= SWAP_MAP_MAX:
        if rm_unlikely(count == COUNT_CONTINUED):
            count = SWAP_MAP_MAX | (COUNT_CONTINUED if count_down_continued(si, offset) else 0)
        else:
            count -= 1
    count |= has_cache
    si.swap_map[offset] = count
    if count == 0:
        slot_free(m, si, offset)
    return count

cdef inline int count_up(swap_info_struct* si, uint32_t offset, uint8_t usage) noexcept nogil:
    """An entry more (1, SWAP_MAP_SHMEM), or the cache takes it: 0, -EEXIST, -ENOENT, -EINVAL, -ENOMEM."""
    cdef uint8_t byte = si.swap_map[offset]
    cdef uint8_t count = byte & ~<uint8_t>SWAP_HAS_CACHE
    if usage == SWAP_HAS_CACHE:
        if byte & SWAP_HAS_CACHE:
            return -EEXIST
        if count == 0:
            return -ENOENT
    elif byte == 0:
        return -ENOENT
    elif (count & ~<uint8_t>COUNT_CONTINUED) > SWAP_MAP_MAX:
        return -EINVAL
    elif (count & ~<uint8_t>COUNT_CONTINUED) == SWAP_MAP_MAX:
        return count_up_continued(si, offset)
    si.swap_map[offset] = <uint8_t>(count + usage) | byte & SWAP_HAS_CACHE
    return 0

cdef inline bint swap_count_has_room(uint8_t byte) noexcept nogil:
    """Does swap_duplicate only have to add one to this byte of a slot in use?"""
    return byte != 0 and (byte & ~<uint8_t>SWAP_HAS_CACHE) < SWAP_MAP_MAX

cdef inline int __swap_duplicate(machine* m, uint64_t entry, uint8_t usage) noexcept nogil:
    cdef swap_info_struct* si
    if rm_unlikely(swp_type(entry) >= m.nr_swapfiles):
        return -EINVAL
    si = &m.swap_info[swp_type(entry)]
    leaf_lock(m, LOCK_SWAP)
    # unlike swap_info_get, the offset is looked at under the lock
    if rm_unlikely(swp_offset(entry) >= si.max):
        return -EINVAL
    return count_up(si, <uint32_t>swp_offset(entry), usage)

cdef inline int swapcache_prepare(machine* m, uint64_t entry) noexcept nogil:
    """0; -EEXIST: a page is on its way into the cache; -ENOENT: the slot is not in use any more."""
    return __swap_duplicate(m, entry, SWAP_HAS_CACHE)

cdef inline void slot_put(machine* m, uint64_t entry, uint8_t usage) noexcept nogil:
    """swap_free (1) and swapcache_free (SWAP_HAS_CACHE), inlined."""
    cdef swap_info_struct* si = swap_info_get(m, entry)
    if rm_likely(si != NULL):
        swap_entry_free(m, si, <uint32_t>swp_offset(entry), usage)
