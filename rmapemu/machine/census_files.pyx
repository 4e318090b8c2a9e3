# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# check() of files and swap: page caches against their pages, i_mmap trees against VMAs, slot counts against all who name a slot.
# Kernel: mm/filemap.c, mm/swapfile.c.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from rmapemu.machine.census cimport *
from rmapemu.mm.kmem cimport kmem_live
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.radix_tree cimport radix_tree_next
from rmapemu.mm.swapfile cimport swap_count
from rmapemu.mm.types cimport *


cdef int cached_page(census* c, machine* m, address_space* a, uint64_t index, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    if pfn == 0 or pfn >= m.nr_frames:
        return bad(c, b"its page cache has no frame at this index", ABOUT_FILE, a.ino, pfn, <int64_t>index)
    if page_file_mapping(m, p) != a or p.index != index:
        return bad(c, b"in a page cache, but its mapping or index is another: index, place", ABOUT_PAGE, pfn, <int64_t>p.index,
            <int64_t>index)
    c.cached[pfn] += 1
    return 0


cdef int page_tree(census* c, machine* m, address_space* a, int64_t* shmem) noexcept nogil:
    cdef uint64_t index = 0, slot, entry, pages = 0, swapped = 0
    while True:
        slot = radix_tree_next(m, a, &index)
        if slot == 0:
            break
        if slot & 1:
            entry = private_to_entry(<uint32_t>(slot >> 1))
            if entry >> 58 >= m.nr_swapfiles or (entry & 0x7ffffff) >= m.swap_info[entry >> 58].max:
                return bad(c, b"its tree has a swap entry of no slot: index", ABOUT_FILE, a.ino, <int64_t>index, 0)
            c.shmem_slots[entry >> 58][entry & 0x7ffffff] += 1
            swapped += 1
        else:
            if cached_page(c, m, a, index, <uint32_t>(slot >> 1)):
                return -1
            pages += 1
        if index == <uint64_t>-1:
            break
        index += 1
    if pages != a.nrpages:
        return bad(c, b"nrpages", ABOUT_FILE, a.ino, <int64_t>a.nrpages, <int64_t>pages)
    if swapped != a.swapped:
        return bad(c, b"pages in swap", ABOUT_FILE, a.ino, <int64_t>a.swapped, <int64_t>swapped)
    shmem[0] += <int64_t>pages if a.kind == FILE_SHMEM else 0
    return 0


cdef int mapped_by(census* c, machine* m, address_space* a, uint64_t* found) noexcept nogil:
    cdef vm_area_struct* v = vma_prio_tree_first(a, 0, <uint64_t>-1)
    cdef vm_area_struct* before = NULL
    cdef int64_t writable = 0
    while v != NULL:
        if v.vm_file != a or v.vm_flags & VM_NONLINEAR:
            return bad(c, b"in the i_mmap of a file that it does not map, or nonlinear: file", ABOUT_VMA, v.serial, a.ino, 0)
        if before != NULL and before.vm_pgoff > v.vm_pgoff:
            return bad(c, b"i_mmap is out of order: pgoff, the one before", ABOUT_VMA, v.serial, <int64_t>v.vm_pgoff,
                <int64_t>before.vm_pgoff)
        found[0] += 1
        writable += (v.vm_flags & VM_SHARED) != 0
        before = v
        v = vma_prio_tree_next(a, v, 0, <uint64_t>-1)
    v = a.i_mmap_nonlinear
    while v != NULL:
        if v.vm_file != a or not v.vm_flags & VM_NONLINEAR:
            return bad(c, b"in the nonlinear list of a file, wrongly: file", ABOUT_VMA, v.serial, a.ino, 0)
        found[0] += 1
        writable += (v.vm_flags & VM_SHARED) != 0
        v = v.nl_next
    if writable != a.i_mmap_writable:
        return bad(c, b"i_mmap_writable", ABOUT_FILE, a.ino, a.i_mmap_writable, writable)
    return 0


cdef int check_files(census* c, machine* m) noexcept nogil:
    cdef address_space* a = <address_space*>m.kmem[KMEM_MAPPING].base
    cdef uint64_t i, live = 0, found = 0, pages = 0, n = m.kmem[KMEM_MAPPING].used_bytes // sizeof(address_space)
    cdef int64_t shmem = 0
    for i in range(1, n):
        if a[i].refs == 0:
            continue
        live += 1
        if a[i].ino != i:
            return bad(c, b"its number is not its place", ABOUT_FILE, i, a[i].ino, <int64_t>i)
        if page_tree(c, m, &a[i], &shmem) or mapped_by(c, m, &a[i], &found):
            return -1
        if a[i].i_mmap_lock == LOCK_HELD:
            return bad(c, b"i_mmap_mutex is still held", ABOUT_FILE, i, 1, 0)
        pages += a[i].nrpages
    if found != c.file_vmas:
        return bad(c, b"VMAs of files, and those that the files know", ABOUT_MACHINE, 0, <int64_t>c.file_vmas, <int64_t>found)
    if live != kmem_live(&m.kmem[KMEM_MAPPING]):
        return bad(c, b"live files", ABOUT_MACHINE, 0, <int64_t>kmem_live(&m.kmem[KMEM_MAPPING]), <int64_t>live)
    c.files = pages
    if zone_sum(m, NR_SHMEM) != shmem:
        return bad(c, b"nr_shmem", ABOUT_MACHINE, 0, zone_sum(m, NR_SHMEM), shmem)
    return 0


cdef int64_t zone_sum(machine* m, int item) noexcept nogil:
    cdef int64_t sum = 0
    cdef int i
    for i in range(<int>m.nr_zones):
        sum += <int64_t>m.zones[i].vm_stat[item]
    return sum


cdef int swap_cached(census* c, machine* m, swap_info_struct* si, uint32_t offset) noexcept nogil:
    cdef uint64_t id = <uint64_t>si.type << 32 | offset
    cdef uint32_t pfn = si.cache[offset]
    if pfn == 0 or pfn >= m.nr_frames:
        return bad(c, b"SWAP_HAS_CACHE, but there is no page", ABOUT_SLOT, id, pfn, 0)
    if not m.pages[pfn].flags & PG_swapcache or m.pages[pfn].private != (<uint32_t>si.type << 27 | offset):
        return bad(c, b"the page in the swap cache does not know it: page, its private", ABOUT_SLOT, id, pfn, m.pages[pfn].private)
    c.cached[pfn] += 1
    return 0


cdef int one_slot(census* c, machine* m, swap_info_struct* si, uint32_t offset) noexcept nogil:
    cdef uint8_t map_ = si.swap_map[offset]
    cdef uint64_t id = <uint64_t>si.type << 32 | offset
    cdef bint shmem = (map_ & ~SWAP_HAS_CACHE) == SWAP_MAP_SHMEM
    if map_ == SWAP_MAP_BAD:
        return 0 if c.slots[si.type][offset] == 0 else bad(c, b"a bad slot is used", ABOUT_SLOT, id, 0, c.slots[si.type][offset])
    if shmem != (c.shmem_slots[si.type][offset] != 0) or c.shmem_slots[si.type][offset] > 1:
        return bad(c, b"SWAP_MAP_SHMEM, and shmem trees that name it", ABOUT_SLOT, id, shmem, c.shmem_slots[si.type][offset])
    if not shmem and swap_count(m, <uint64_t>si.type << 58 | offset) != c.slots[si.type][offset]:
        return bad(c, b"users, and entries that name it", ABOUT_SLOT, id, swap_count(m, <uint64_t>si.type << 58 | offset),
            c.slots[si.type][offset])
    if map_ & SWAP_HAS_CACHE and map_ != SWAP_MAP_BAD:
        return swap_cached(c, m, si, offset)
    return 0


cdef int one_area(census* c, machine* m, swap_info_struct* si, uint64_t* cached) noexcept nogil:
    cdef uint32_t offset
    cdef int64_t used = 0
    for offset in range(1, si.max):
        if si.swap_map[offset] == 0 and c.slots[si.type][offset] == 0 and c.shmem_slots[si.type][offset] == 0:
            continue
        if one_slot(c, m, si, offset):
            return -1
        used += si.swap_map[offset] != SWAP_MAP_BAD
        cached[0] += (si.swap_map[offset] & SWAP_HAS_CACHE) != 0
    if used != si.inuse_pages:
        return bad(c, b"inuse_pages of swap area", ABOUT_MACHINE, si.type, si.inuse_pages, used)
    return 0


cdef int check_swap(census* c, machine* m) noexcept nogil:
    cdef uint64_t cached = 0
    cdef int64_t free_slots = 0
    cdef int t
    for t in range(<int>m.nr_swapfiles):
        if one_area(c, m, &m.swap_info[t], &cached):
            return -1
        free_slots += <int64_t>m.swap_info[t].pages - m.swap_info[t].inuse_pages
    if free_slots != m.nr_swap_pages:
        return bad(c, b"free swap slots", ABOUT_MACHINE, 0, m.nr_swap_pages, free_slots)
    if zone_sum(m, NR_FILE_PAGES) != <int64_t>(cached + c.files):
        return bad(c, b"nr_file_pages, and pages in page caches and swap cache", ABOUT_MACHINE, 0, zone_sum(m, NR_FILE_PAGES),
            <int64_t>(cached + c.files))
    return 0
