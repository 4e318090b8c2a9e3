# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Cutting a file: its pages leave every mapping, then the page cache, dirty or not.
# Kernel: mm/truncate.c (truncate_inode_pages_range, truncate_inode_page, invalidate_mapping_pages, vmtruncate).
# Differs: pages are looked up one by one, not by pagevecs of 14.
from libc.errno cimport EIO
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.mm.filemap cimport __delete_from_page_cache, delete_from_page_cache, find_lock_page
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport kernel_touch
from rmapemu.mm.mlock cimport clear_page_mlock
from rmapemu.mm.page_alloc cimport get_page, put_page
from rmapemu.mm.page_writeback cimport disk_forget, mapping_cap_account_dirty
from rmapemu.mm.radix_tree cimport radix_tree_exceptional_entry, radix_tree_next
from rmapemu.mm.rmap cimport page_mapped
from rmapemu.mm.shmem cimport shmem_truncate
from rmapemu.mm.swap_lru cimport deactivate_page
from rmapemu.mm.types cimport *
from rmapemu.mm.zap cimport unmap_mapping_range


cdef void cancel_dirty_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a
    if not p.flags & PG_dirty:
        return
    p.flags &= ~<uint32_t>PG_dirty
    a = page_file_mapping(m, p)
    if a != NULL and mapping_cap_account_dirty(a):
        dec_zone_page_state(m, pfn, NR_FILE_DIRTY)


cdef int truncate_complete_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    if page_file_mapping(m, &m.pages[pfn]) != a:
        return -EIO
    cancel_dirty_page(m, pfn)
    if m.pages[pfn].flags & PG_mlocked:
        clear_page_mlock(m, pfn)
    m.pages[pfn].flags &= ~<uint32_t>PG_mappedtodisk
    delete_from_page_cache(m, pfn)
    return 0


cdef int truncate_inode_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    cdef uint64_t index = m.pages[pfn].index
    if page_mapped(m, pfn):
        unmap_mapping_range(m, a, index, index, False)
    return truncate_complete_page(m, a, pfn)


cdef void truncate_pass(machine* m, address_space* a, uint64_t first, bint wait) noexcept nogil:
    """Drops the pages from `first` on; the first of two passes leaves those that are locked."""
    cdef uint64_t index = first
    cdef uint64_t item
    cdef uint32_t pfn
    while True:
        item = radix_tree_next(m, a, &index)
        if item == 0:
            return
        pfn = <uint32_t>(item >> 1)
        if not radix_tree_exceptional_entry(item):
            get_page(m, pfn)
            if wait:
                lock_page(m, pfn)
            if wait or trylock_page(m, pfn):
                truncate_inode_page(m, a, pfn)
                unlock_page(m, pfn)
            put_page(m, pfn)
        index += 1
        if index == 0:
            return


cdef void truncate_partial_page(machine* m, address_space* a, uint64_t index) noexcept nogil:
    """The page that the new end lies in loses its tail."""
    cdef uint32_t pfn = find_lock_page(m, a, index)
    if pfn == 0:
        return
    kernel_touch(m, pfn, ACCESS_WRITE)
    unlock_page(m, pfn)
    put_page(m, pfn)


cdef void truncate_inode_pages(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t first = (size_bytes >> m.page_shift) + (size_bytes & mask != 0)
    if a.nrpages == 0:
        return
    truncate_pass(m, a, first, False)
    if size_bytes & mask:
        truncate_partial_page(m, a, first - 1)
    truncate_pass(m, a, first, True)


cdef int vmtruncate(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t first = (size_bytes >> m.page_shift) + (size_bytes & mask != 0)
    cdef uint64_t old = a.i_size
    spin_lock(m, LOCK_I_MUTEX)
    a.i_size = size_bytes
    if a.kind == FILE_REGULAR or size_bytes < old:
        # unmapped twice: a fault between the first time and the page's removal may have copied it
        unmap_mapping_range(m, a, first, <uint64_t>-1, True)
        if a.kind == FILE_SHMEM:
            shmem_truncate(m, a, size_bytes)
        else:
            truncate_inode_pages(m, a, size_bytes)
            disk_forget(m, a, first)
        unmap_mapping_range(m, a, first, <uint64_t>-1, True)
    spin_unlock(m, LOCK_I_MUTEX)
    return 0


# ---------------------------------------------------------------- dropping what can be read again
cdef bint invalidate_inode_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    """A locked page with one reference of ours: True where it left the cache."""
    cdef page* p = &m.pages[pfn]
    if page_file_mapping(m, p) != a or p.flags & (PG_dirty | PG_writeback) or page_mapped(m, pfn):
        return False
    if p.flags & PG_mlocked:
        clear_page_mlock(m, pfn)
    if p.count != 2 or p.flags & PG_dirty:
        return False
    spin_lock(m, LOCK_TREE)
    __delete_from_page_cache(m, pfn)
    spin_unlock(m, LOCK_TREE)
    put_page(m, pfn)
    return True


cdef uint64_t invalidate_mapping_pages(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil:
    cdef uint64_t index = first
    cdef uint64_t item
    cdef uint64_t dropped = 0
    cdef uint32_t pfn
    cdef bint gone
    while True:
        item = radix_tree_next(m, a, &index)
        if item == 0 or index > last:
            return dropped
        pfn = <uint32_t>(item >> 1)
        if not radix_tree_exceptional_entry(item) and trylock_page(m, pfn):
            get_page(m, pfn)
            gone = invalidate_inode_page(m, a, pfn)
            unlock_page(m, pfn)
            dropped += gone
            if not gone:
                deactivate_page(m, pfn)
            put_page(m, pfn)
        index += 1
        if index == 0:
            return dropped
