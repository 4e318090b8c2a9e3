# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The swap cache: which page holds what a slot holds; reading and writing slots.
# Kernel: mm/swap_state.c, mm/page_io.c, valid_swaphandles of mm/swapfile.c.
# The cache is an array by slot, not a radix tree; a read or a write is done when it returns, as on a ramdisk.
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.hw.pte cimport swp_entry, swp_offset, swp_type
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport alloc_pages, put_page
from rmapemu.mm.swap_lru cimport __lru_cache_add
from rmapemu.mm.swap_slot cimport slot_area, slot_put, swapcache_prepare
from rmapemu.mm.swapfile cimport get_swap_page, swapcache_free, try_to_free_swap
from rmapemu.mm.types cimport *


# ---------------------------------------------------------------- the cache
cdef int add_to_swap_cache(machine* m, uint32_t pfn, uint64_t entry) noexcept nogil:
    return __add_to_swap_cache(m, pfn, entry, GFP_HIGH | GFP_NOWARN)


cdef void delete_from_swap_cache(machine* m, uint32_t pfn) noexcept nogil:
    cdef uint64_t entry = private_to_entry(m.pages[pfn].private)
    leaf_lock(m, LOCK_TREE)
    __delete_from_swap_cache(m, pfn)
    slot_put(m, entry, SWAP_HAS_CACHE)
    put_page(m, pfn)


cdef int add_to_swap(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef uint64_t entry
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"add_to_swap")
    VM_BUG_ON(m, not p.flags & PG_uptodate, b"!PageUptodate(page)", b"add_to_swap")
    entry = get_swap_page(m)
    if entry == 0:
        return 0
    if rm_unlikely(__add_to_swap_cache(m, pfn, entry, GFP_HIGH | GFP_NOWARN)):
        swapcache_free(m, entry, 0)
        return 0
    p.flags |= PG_dirty
    return 1


cdef uint32_t lookup_swap_cache(machine* m, uint64_t entry) noexcept nogil:
    return find_get_swap_page(m, entry)


cdef void free_swap_cache(machine* m, uint32_t pfn) noexcept nogil:
    if m.pages[pfn].flags & PG_swapcache and m.pages[pfn].mapcount == 0 and trylock_page(m, pfn):
        try_to_free_swap(m, pfn)
        unlock_page(m, pfn)


cdef void free_page_and_swap_cache(machine* m, uint32_t pfn) noexcept nogil:
    free_swap_cache(m, pfn)
    put_page(m, pfn)


# ---------------------------------------------------------------- reading and writing slots
cdef inline void swap_readpage(machine* m, uint32_t pfn, uint64_t entry) noexcept nogil:
    count_vm_event(m, PSWPIN)
    m.vm_events[PGPGIN] += page_kbytes(m)
    if m.has_tokens:
        m.token[pfn] = m.swap_info[swp_type(entry)].token[swp_offset(entry)]
    m.hw.ops.page_set_uptodate(&m.hw, pfn)
    m.pages[pfn].flags |= PG_uptodate
    # the page came locked, from __set_page_locked, which no lock order knows of
    m.pages[pfn].flags &= ~<uint32_t>PG_locked


cdef int swap_writepage(machine* m, uint32_t pfn) noexcept nogil:
    """The page comes locked and, as from any ->writepage, leaves unlocked."""
    cdef uint64_t entry
    if try_to_free_swap(m, pfn):
        unlock_page(m, pfn)
        return 0
    entry = private_to_entry(m.pages[pfn].private)
    count_vm_event(m, PSWPOUT)
    m.vm_events[PGPGOUT] += page_kbytes(m)
    if m.has_tokens and slot_area(m, entry) != NULL:
        slot_area(m, entry).token[swp_offset(entry)] = m.token[pfn]
    # set_page_writeback and end_page_writeback each tag the tree; in between nobody looks
    m.hw.cost.locks[LOCK_TREE] += 2
    inc_zone_page_state(m, pfn, NR_WRITTEN)
    m.pages[pfn].flags &= ~<uint32_t>PG_reclaim
    unlock_page(m, pfn)
    return 0


cdef uint32_t not_read(machine* m, uint64_t entry, uint32_t pfn) noexcept nogil:
    """Nobody uses the slot any more, or a page is on its way into the cache."""
    put_page(m, pfn)
    return lookup_swap_cache(m, entry)


cdef uint32_t not_cached(machine* m, uint64_t entry, uint32_t pfn) noexcept nogil:
    """-ENOMEM: the slot is let go of, the page freed."""
    m.pages[pfn].flags &= ~<uint32_t>(PG_locked | PG_swapbacked)
    swapcache_free(m, entry, 0)
    put_page(m, pfn)
    return 0


cdef uint32_t read_swap_page(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    cdef uint32_t pfn = alloc_pages(m, gfp, 0)
    if rm_unlikely(pfn == 0):
        return 0
    if rm_unlikely(swapcache_prepare(m, entry)):
        return not_read(m, entry, pfn)
    m.pages[pfn].flags |= PG_locked | PG_swapbacked
    if rm_unlikely(__add_to_swap_cache(m, pfn, entry, gfp & GFP_KERNEL)):
        return not_cached(m, entry, pfn)
    __lru_cache_add(m, pfn, LRU_INACTIVE_ANON)
    swap_readpage(m, pfn, entry)
    return pfn


cdef inline bint worth_reading(const swap_info_struct* si, uint64_t offset) noexcept nogil:
    cdef uint8_t count = si.swap_map[offset]
    return count != 0 and (count & ~<uint8_t>SWAP_HAS_CACHE) != SWAP_MAP_BAD


cdef int valid_swaphandles(machine* m, uint64_t entry, uint64_t* first) noexcept nogil:
    """How many slots in use surround the entry in its aligned cluster, itself included; 0: it stands alone."""
    cdef swap_info_struct* si = slot_area(m, entry)
    cdef uint64_t target = swp_offset(entry)
    cdef uint64_t size = <uint64_t>1 << m.sysctl.page_cluster
    cdef uint64_t base = target & ~(size - 1)
    cdef uint64_t end = base + size
    cdef uint64_t at = target + 1
    cdef int n = 0
    if si == NULL:
        return 0
    if base == 0:
        base = 1                    # the header
    leaf_lock(m, LOCK_SWAP)
    if end > si.max:
        end = si.max
    while at < end and worth_reading(si, at):
        at += 1
        n += 1
    at = target
    while at > base and worth_reading(si, at - 1):
        at -= 1
        n += 1
    first[0] = at
    return n + 1 if n else 0


cdef void read_cluster(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    cdef uint64_t offset = 0
    cdef uint32_t pfn
    cdef int i
    cdef int n = valid_swaphandles(m, entry, &offset)
    for i in range(n):
        pfn = read_swap_cache_async(m, swp_entry(swp_type(entry), offset + i), gfp)
        if pfn == 0:
            break
        put_page(m, pfn)
