# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# tmpfs and shared anonymous memory: file pages that are swapped out of the page cache; the tree keeps the swap entry.
# Kernel: mm/shmem.c (shmem_getpage_gfp, shmem_fault, shmem_writepage, shmem_truncate_range, shmem_add_to_page_cache).
# Differs: no limit of blocks or inodes, no accounting of the file's size (VM_NORESERVE), no shmem_unuse.
from libc.errno cimport EEXIST, EFAULT, EFBIG, EINVAL, EIO, ENOENT, ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.mm.filemap cimport SetPageUptodate, i_size_pages, mapping_to_field
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport clear_user_highpage, kernel_touch
from rmapemu.mm.page_alloc cimport alloc_pages, get_page, put_page
from rmapemu.mm.page_writeback cimport AOP_WRITEPAGE_ACTIVATE, set_page_dirty
from rmapemu.mm.radix_tree cimport *
from rmapemu.mm.rmap cimport page_mapped
from rmapemu.mm.swap_lru cimport lru_cache_add_lru
from rmapemu.mm.swap_state cimport add_to_swap_cache, delete_from_swap_cache, lookup_swap_cache, swap_writepage, swapin_readahead
from rmapemu.mm.swapfile cimport free_swap_and_cache, get_swap_page, swap_free, swap_shmem_alloc, swapcache_free
from rmapemu.mm.truncate cimport truncate_inode_page
from rmapemu.mm.types cimport *


cdef inline uint64_t swp_to_radix_entry(uint64_t entry) noexcept nogil:
    return <uint64_t>entry_to_private(entry) << 1 | 1


cdef inline uint64_t radix_to_swp_entry(uint64_t item) noexcept nogil:
    return private_to_entry(<uint32_t>(item >> 1))


cdef int shmem_radix_tree_replace(machine* m, address_space* a, uint64_t index, uint64_t expected, uint64_t item) noexcept nogil:
    """0, or -ENOENT: something else stands there by now."""
    if radix_tree_lookup(m, a, index) != expected:
        return -ENOENT
    radix_tree_replace(m, a, index, item)
    return 0


cdef int shmem_add_to_page_cache(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp,
                                 uint64_t expected) noexcept nogil:
    """Where `expected` (a swap entry's item, or 0: nothing) stands: 0, -ENOMEM, -EEXIST, -ENOENT."""
    cdef page* p = &m.pages[pfn]
    cdef int error
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"shmem_add_to_page_cache")
    VM_BUG_ON(m, not p.flags & PG_swapbacked, b"!PageSwapBacked(page)", b"shmem_add_to_page_cache")
    get_page(m, pfn)
    p.mapping = mapping_to_field(m, a)
    p.index = index
    spin_lock(m, LOCK_TREE)
    if expected:
        error = shmem_radix_tree_replace(m, a, index, expected, page_item(pfn))
    else:
        error = radix_tree_insert(m, a, index, page_item(pfn), gfp)
    if error == 0:
        a.nrpages += 1
        inc_zone_page_state(m, pfn, NR_FILE_PAGES)
        inc_zone_page_state(m, pfn, NR_SHMEM)
    spin_unlock(m, LOCK_TREE)
    if error:
        p.mapping = 0
        put_page(m, pfn)
    return error


cdef void shmem_delete_from_page_cache(machine* m, uint32_t pfn, uint64_t radswap) noexcept nogil:
    """The page leaves the tree for its swap entry."""
    cdef page* p = &m.pages[pfn]
    cdef address_space* a = page_file_mapping(m, p)
    cdef int error
    spin_lock(m, LOCK_TREE)
    error = shmem_radix_tree_replace(m, a, p.index, page_item(pfn), radswap)
    p.mapping = 0
    a.nrpages -= 1
    dec_zone_page_state(m, pfn, NR_FILE_PAGES)
    dec_zone_page_state(m, pfn, NR_SHMEM)
    spin_unlock(m, LOCK_TREE)
    put_page(m, pfn)
    BUG_ON(m, error != 0, b"error", b"shmem_delete_from_page_cache")


cdef int shmem_writepage(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a = page_file_mapping(m, p)
    cdef uint64_t entry
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"shmem_writepage")
    if not a.unevictable and m.total_swap_pages:
        entry = get_swap_page(m)
        if entry:
            if add_to_swap_cache(m, pfn, entry) == 0:
                swap_shmem_alloc(m, entry)
                shmem_delete_from_page_cache(m, pfn, swp_to_radix_entry(entry))
                a.swapped += 1
                BUG_ON(m, page_mapped(m, pfn), b"page_mapped(page)", b"shmem_writepage")
                swap_writepage(m, pfn)
                return 0
            swapcache_free(m, entry, 0)
    set_page_dirty(m, pfn)
    return AOP_WRITEPAGE_ACTIVATE


# ---------------------------------------------------------------- getting a page
cdef int swap_in_page(machine* m, address_space* a, uint64_t index, uint64_t item, uint32_t gfp, uint32_t* found,
                      bint* major) noexcept nogil:
    """From the swap cache, or from swap, back into the page cache: 0 with the page locked and referenced."""
    cdef uint64_t entry = radix_to_swp_entry(item)
    cdef uint32_t pfn = lookup_swap_cache(m, entry)
    cdef page* p
    cdef int error = 0
    if pfn == 0:
        if major != NULL:
            major[0] = True
        pfn = swapin_readahead(m, entry, gfp)
        if pfn == 0:
            return -ENOMEM
    lock_page(m, pfn)
    p = &m.pages[pfn]
    found[0] = pfn
    if not p.flags & PG_uptodate:
        error = -EIO
    elif p.mapping:
        # brought back already
        if page_file_mapping(m, p) == a and p.index == index:
            return 0
        error = -EEXIST
    else:
        error = shmem_add_to_page_cache(m, pfn, a, index, gfp, item)
    if error:
        unlock_page(m, pfn)
        put_page(m, pfn)
        return error
    a.swapped -= 1
    delete_from_swap_cache(m, pfn)
    set_page_dirty(m, pfn)
    swap_free(m, entry)
    return 0


cdef int new_page(machine* m, address_space* a, uint64_t index, uint32_t gfp, int sgp, uint32_t* found) noexcept nogil:
    cdef uint32_t pfn = alloc_pages(m, gfp, 0)
    cdef int error
    if pfn == 0:
        return -ENOMEM
    m.pages[pfn].flags |= PG_swapbacked
    trylock_page(m, pfn)                # nobody else knows the page (__set_page_locked)
    error = shmem_add_to_page_cache(m, pfn, a, index, gfp, 0)
    if error:
        unlock_page(m, pfn)
        put_page(m, pfn)
        return error
    lru_cache_add_lru(m, pfn, LRU_INACTIVE_ANON)
    clear_user_highpage(m, pfn)
    SetPageUptodate(m, pfn)
    if sgp == SGP_DIRTY:
        set_page_dirty(m, pfn)
    found[0] = pfn
    return 0


cdef int shmem_getpage_gfp(machine* m, address_space* a, uint64_t index, uint32_t* pfn, int sgp, uint32_t gfp, bint* major) noexcept nogil:
    cdef uint64_t item, before = 0
    cdef uint32_t found
    cdef int error = -EEXIST
    if index >= <uint64_t>1 << (63 - m.page_shift):
        return -EFBIG
    while error == -EEXIST or error == -ENOENT:
        item = radix_tree_lookup(m, a, index)
        # only a page cache bent by hand gives the same again, and the kernel would go round for ever
        BUG_ON(m, item != 0 and item == before, b"page->mapping != mapping", b"shmem_getpage_gfp")
        before = item
        if sgp != SGP_WRITE and index >= i_size_pages(m, a):
            return -EINVAL
        if item and not radix_tree_exceptional_entry(item):
            found = <uint32_t>(item >> 1)
            get_page(m, found)
            lock_page(m, found)
            if page_file_mapping(m, &m.pages[found]) == a:
                BUG_ON(m, not m.pages[found].flags & PG_uptodate, b"page && !PageUptodate(page)", b"shmem_getpage_gfp")
                error = 0
            else:
                unlock_page(m, found)
                put_page(m, found)
        elif item:
            error = swap_in_page(m, a, index, item, gfp, &found, major)
        elif sgp == SGP_READ:
            pfn[0] = 0
            return 0
        else:
            error = new_page(m, a, index, gfp, sgp, &found)
    if error == 0:
        pfn[0] = found
    return error


cdef int shmem_getpage(machine* m, address_space* a, uint64_t index, uint32_t* pfn, bint* major) noexcept nogil:
    return shmem_getpage_gfp(m, a, index, pfn, SGP_CACHE, GFP_HIGHUSER_MOVABLE, major)


cdef int shmem_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil:
    cdef int error = shmem_getpage(m, vma.vm_file, pgoff, pfn, major)
    if error:
        return -ENOMEM if error == -ENOMEM else -EFAULT
    if major[0]:
        count_vm_event(m, PGMAJFAULT)
    return 0


# ---------------------------------------------------------------- truncation
cdef void shmem_free_swap(machine* m, address_space* a, uint64_t index, uint64_t item) noexcept nogil:
    spin_lock(m, LOCK_TREE)
    radix_tree_delete(m, a, index)
    spin_unlock(m, LOCK_TREE)
    free_swap_and_cache(m, radix_to_swp_entry(item))
    a.swapped -= 1


cdef void truncate_pass(machine* m, address_space* a, uint64_t first, uint64_t last, bint wait) noexcept nogil:
    cdef uint64_t index = first
    cdef uint64_t item
    cdef uint32_t pfn
    while True:
        item = radix_tree_next(m, a, &index)
        if item == 0 or index > last:
            return
        if radix_tree_exceptional_entry(item):
            shmem_free_swap(m, a, index, item)
        else:
            pfn = <uint32_t>(item >> 1)
            get_page(m, pfn)
            if wait:
                lock_page(m, pfn)
            if wait or trylock_page(m, pfn):
                if page_file_mapping(m, &m.pages[pfn]) == a:
                    truncate_inode_page(m, a, pfn)
                unlock_page(m, pfn)
            put_page(m, pfn)
        index += 1
        if index == 0:
            return


cdef void shmem_truncate_range(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil:
    truncate_pass(m, a, first, last, False)
    truncate_pass(m, a, first, last, True)


cdef void shmem_truncate(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t first = (size_bytes >> m.page_shift) + (size_bytes & mask != 0)
    cdef uint32_t pfn = 0
    truncate_pass(m, a, first, <uint64_t>-1, False)
    if size_bytes & mask and shmem_getpage_gfp(m, a, first - 1, &pfn, SGP_READ, GFP_HIGHUSER_MOVABLE, NULL) == 0 and pfn:
        kernel_touch(m, pfn, ACCESS_WRITE)
        set_page_dirty(m, pfn)
        unlock_page(m, pfn)
        put_page(m, pfn)
    truncate_pass(m, a, first, <uint64_t>-1, True)
