# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Swap areas and the search for a free slot in them: clusters of 256, areas in turn by priority.
# Kernel: mm/swapfile.c (sys_swapon, get_swap_page, scan_swap_map, __try_to_reclaim_swap).
# All areas are as on a device without seeks (SWP_SOLIDSTATE), never discarded, never switched off.
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memchr
from rmapemu.hw.pte cimport swp_entry
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport *
from rmapemu.mm.machine cimport swap_arrays
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.swapfile cimport try_to_free_swap
from rmapemu.mm.types cimport *

cdef enum:
    MAX_SLOTS = 1 << 27         # machine.private keeps the offset in 27 bits


cdef void list_area(machine* m, int type) noexcept nogil:
    """Into the list by falling priority, behind its equals."""
    cdef int32_t* link = &m.swap_list_head
    while link[0] >= 0 and m.swap_info[link[0]].prio >= m.swap_info[type].prio:
        link = &m.swap_info[link[0]].next
    m.swap_info[type].next = link[0]
    link[0] = type
    m.swap_list_next = m.swap_list_head


cdef int least_priority(machine* m) noexcept nogil:
    cdef int prio = 0
    cdef uint32_t i
    for i in range(m.nr_swapfiles):
        if m.swap_info[i].prio <= prio:
            prio = m.swap_info[i].prio - 1
    return prio if prio < 0 else -1


cdef int swapon(machine* m, uint64_t size_bytes, int prio) noexcept nogil:
    """prio < 0: below all others, as swapon(2) without SWAP_FLAG_PREFER."""
    cdef uint64_t slots = size_bytes >> m.page_shift
    cdef uint64_t most = <uint64_t>1 << (m.hw.fmt.swap_offset.bits[0] + m.hw.fmt.swap_offset.bits[1])
    cdef int type = m.nr_swapfiles
    cdef swap_info_struct* si = &m.swap_info[type]
    if type >= MAX_SWAPFILES:
        return -EINVAL
    # like the kernel, what the entries cannot name is left unused
    if slots > most:
        slots = most
    if slots > MAX_SLOTS:
        slots = MAX_SLOTS
    if slots < 2:
        return -EINVAL
    if swap_arrays(m, si, slots):
        return -ENOMEM
    si.swap_map[0] = SWAP_MAP_BAD
    si.max = <uint32_t>slots
    si.pages = si.max - 1
    si.lowest_bit = 1
    si.highest_bit = si.max - 1
    si.cluster_next = 1
    si.cluster_nr = 0
    si.type = <uint8_t>type
    si.prio = prio if prio >= 0 else least_priority(m)
    si.flags = SWP_USED | SWP_WRITEOK | SWP_SOLIDSTATE
    m.nr_swapfiles += 1
    m.nr_swap_pages += si.pages
    m.total_swap_pages += si.pages
    list_area(m, type)
    return type


# ---------------------------------------------------------------- finding a slot
cdef uint32_t empty_cluster(const swap_info_struct* si, uint32_t start, uint32_t last) noexcept nogil:
    """The first SWAPFILE_CLUSTER free slots in a row from `start` that end at `last` at most; 0: none. A window is read from
    its far end: what is in use there rules out every window before it."""
    cdef uint32_t at
    while <uint64_t>start + SWAPFILE_CLUSTER - 1 <= last:
        at = start + SWAPFILE_CLUSTER - 1
        while at > start and si.swap_map[at] == 0:
            at -= 1
        if si.swap_map[at] == 0:
            return start
        start = at + 1
    return 0


cdef bint try_to_reclaim_swap(machine* m, swap_info_struct* si, uint32_t offset) noexcept nogil:
    """The slot is only kept for its cached page: let go of it, if the page can be locked."""
    cdef uint32_t pfn = si.cache[offset]
    cdef bint freed = False
    if pfn == 0:
        return False
    atomic_inc(&m.pages[pfn].count)
    if trylock_page(m, pfn):
        freed = try_to_free_swap(m, pfn) != 0
        unlock_page(m, pfn)
    put_page(m, pfn)
    return freed


cdef inline bint usable(machine* m, const swap_info_struct* si, uint32_t offset) noexcept nogil:
    return si.swap_map[offset] == 0 or (si.swap_map[offset] == SWAP_HAS_CACHE and vm_swap_full(m))


cdef uint32_t next_usable(machine* m, const swap_info_struct* si, uint32_t first, uint32_t end) noexcept nogil:
    """First slot in [first, end) that is free or, with swap filling up, only cached; 0: none."""
    cdef const void* at
    if first >= end:
        return 0
    if not vm_swap_full(m):
        at = memchr(&si.swap_map[first], 0, end - first)
        return 0 if at == NULL else <uint32_t>(<const uint8_t*>at - si.swap_map)
    while first < end:
        if usable(m, si, first):
            return first
        first += 1
    return 0


cdef inline void take_slot(swap_info_struct* si, uint32_t offset, uint8_t usage) noexcept nogil:
    if offset == si.lowest_bit:
        si.lowest_bit += 1
    if offset == si.highest_bit:
        si.highest_bit -= 1
    si.inuse_pages += 1
    if si.inuse_pages == si.pages:
        si.lowest_bit = si.max
        si.highest_bit = 0
    si.swap_map[offset] = usage
    si.cluster_next = offset + 1


cdef uint32_t new_cluster(swap_info_struct* si) noexcept nogil:
    """Where to look now that a cluster is used up."""
    cdef uint32_t base = si.cluster_next
    cdef uint32_t offset
    if si.pages - si.inuse_pages >= SWAPFILE_CLUSTER:
        if not si.flags & SWP_SOLIDSTATE:
            base = si.lowest_bit
        offset = empty_cluster(si, base, si.highest_bit)
        if offset == 0 and base:
            offset = empty_cluster(si, si.lowest_bit, base - 1)
        if offset:
            base = offset
    si.cluster_nr = SWAPFILE_CLUSTER - 1
    return base


cdef uint32_t scan_swap_map(machine* m, swap_info_struct* si, uint8_t usage) noexcept nogil:
    cdef uint32_t offset, base, _turn
    cdef bint freed
    base = si.cluster_next
    if si.cluster_nr == 0:
        base = new_cluster(si)
    else:
        si.cluster_nr -= 1
    offset = base
    # every turn either takes the slot, frees one (then it is free) or moves on
    for _turn in range(2 * si.max):
        if not si.flags & SWP_WRITEOK or si.highest_bit == 0:
            return 0
        if offset > si.highest_bit:
            base = si.lowest_bit
            offset = base
        if si.swap_map[offset] == 0:
            take_slot(si, offset, usage)
            return offset
        if si.swap_map[offset] == SWAP_HAS_CACHE and vm_swap_full(m):
            # swap_lock is let go of for this
            freed = try_to_reclaim_swap(m, si, offset)
            leaf_lock(m, LOCK_SWAP)
            if freed:
                continue
        if offset >= base:
            offset = next_usable(m, si, offset + 1, si.highest_bit + 1)
            if offset:
                continue
            offset = si.lowest_bit
        offset = next_usable(m, si, offset + 1, base)
        if offset == 0:
            return 0
    return 0


cdef uint64_t get_swap_page(machine* m) noexcept nogil:
    cdef swap_info_struct* si
    cdef uint32_t offset
    cdef int type, following
    cdef int wrapped = 0
    leaf_lock(m, LOCK_SWAP)
    if m.nr_swap_pages > 0:
        m.nr_swap_pages -= 1
        type = m.swap_list_next
        while type >= 0 and wrapped < 2:
            si = &m.swap_info[type]
            following = si.next
            # areas of equal priority take turns; after the last of them the list starts again
            if following < 0 or (wrapped == 0 and si.prio != m.swap_info[following].prio):
                following = m.swap_list_head
                wrapped += 1
            if si.highest_bit and si.flags & SWP_WRITEOK:
                m.swap_list_next = following
                offset = scan_swap_map(m, si, SWAP_HAS_CACHE)
                if offset:
                    return swp_entry(type, offset)
                following = m.swap_list_next
            type = following
        m.nr_swap_pages += 1
    return 0
