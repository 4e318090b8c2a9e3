# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Dirty pages: who counts them, how they are cleaned, and the block device that takes them at once.
# Kernel: mm/page-writeback.c (set_page_dirty, clear_page_dirty_for_io, write_cache_pages), mm/filemap.c (end_page_writeback).
# Differs: a write is over when it was asked for (as on a ramdisk), so PG_writeback never stays set; no throttling; no dirty tags.
from libc.errno cimport EINVAL
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport kernel_touch
from rmapemu.mm.page_alloc cimport get_page, put_page
from rmapemu.mm.radix_tree cimport (radix_tree_exceptional_entry, radix_tree_next, root_delete, root_insert, root_lookup, root_next,
                                    root_replace)
from rmapemu.mm.rmap_mkclean cimport page_mkclean
from rmapemu.mm.shmem cimport shmem_writepage
from rmapemu.mm.swap_lru cimport rotate_reclaimable_page
from rmapemu.mm.swap_state cimport page_kbytes, swap_writepage
from rmapemu.mm.types cimport *


cdef inline int test_set_dirty(page* p) noexcept nogil:
    if p.flags & PG_dirty:
        return 0
    p.flags |= PG_dirty
    return 1


cdef int set_page_dirty(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a
    if p.flags & PG_swapcache:
        p.flags &= ~<uint32_t>PG_reclaim
        if not test_set_dirty(p):
            return 0
        spin_lock(m, LOCK_TREE)
        spin_unlock(m, LOCK_TREE)
        return 1
    a = page_file_mapping(m, p)
    if a == NULL:
        return test_set_dirty(p)
    p.flags &= ~<uint32_t>PG_reclaim
    if not test_set_dirty(p):
        return 0
    if mapping_cap_account_dirty(a):
        spin_lock(m, LOCK_TREE)
        # truncation may have been quicker
        if page_file_mapping(m, p) != NULL:
            BUG_ON(m, page_file_mapping(m, p) != a, b"mapping2 != mapping", b"__set_page_dirty_nobuffers")
            inc_zone_page_state(m, pfn, NR_FILE_DIRTY)
            inc_zone_page_state(m, pfn, NR_DIRTIED)
        spin_unlock(m, LOCK_TREE)
    return 1


cdef int clear_page_dirty_for_io(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a = NULL if p.flags & PG_swapcache else page_file_mapping(m, p)
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"clear_page_dirty_for_io")
    if a != NULL and mapping_cap_account_dirty(a):
        # what the entries say goes to the page first; from here on a store faults and dirties the page again
        if page_mkclean(m, pfn):
            set_page_dirty(m, pfn)
        if not p.flags & PG_dirty:
            return 0
        dec_zone_page_state(m, pfn, NR_FILE_DIRTY)
    elif not p.flags & PG_dirty:
        return 0
    p.flags &= ~<uint32_t>PG_dirty
    return 1


# ---------------------------------------------------------------- the block device
cdef void disk_store(machine* m, address_space* a, uint64_t index, uint64_t token) noexcept nogil:
    """Blocks are no memory of the machine: injected failures pass them by."""
    cdef fail_rule rule = m.fail
    if token == 0:
        root_delete(m, &a.disk_tree, &a.disk_tree_height, index)
    elif root_replace(m, &a.disk_tree, a.disk_tree_height, index, token) == 0:
        m.fail.nth = 0
        root_insert(m, &a.disk_tree, &a.disk_tree_height, index, token, GFP_NOWAIT)
        m.fail = rule


cdef void disk_read(machine* m, address_space* a, uint32_t pfn, uint64_t index) noexcept nogil:
    m.vm_events[PGPGIN] += page_kbytes(m)
    kernel_touch(m, pfn, ACCESS_WRITE)
    if m.has_tokens:
        m.token[pfn] = root_lookup(m, a.disk_tree, a.disk_tree_height, index)


cdef void disk_forget(machine* m, address_space* a, uint64_t first) noexcept nogil:
    cdef uint64_t index = first
    while root_next(m, a.disk_tree, a.disk_tree_height, &index):
        root_delete(m, &a.disk_tree, &a.disk_tree_height, index)


cdef int file_writepage(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    m.vm_events[PGPGOUT] += page_kbytes(m)
    if m.has_tokens:
        disk_store(m, a, p.index, m.token[pfn])
    unlock_page(m, pfn)
    inc_zone_page_state(m, pfn, NR_WRITTEN)
    if p.flags & PG_reclaim:
        p.flags &= ~<uint32_t>PG_reclaim
        rotate_reclaimable_page(m, pfn)
    return 0


cdef int writepage(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a
    if p.flags & PG_swapcache:
        return swap_writepage(m, pfn)
    a = page_file_mapping(m, p)
    if a == NULL:
        return -EINVAL
    if a.kind == FILE_SHMEM:
        return shmem_writepage(m, pfn)
    return file_writepage(m, a, pfn)


cdef bint write_one_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    lock_page(m, pfn)
    if page_file_mapping(m, &m.pages[pfn]) == a and m.pages[pfn].flags & PG_dirty and clear_page_dirty_for_io(m, pfn):
        return writepage(m, pfn) == 0
    unlock_page(m, pfn)
    return False


cdef int64_t filemap_fdatawrite(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil:
    cdef uint64_t index = first
    cdef uint64_t item
    cdef int64_t written = 0
    cdef uint32_t pfn
    if not mapping_cap_account_dirty(a):
        return 0
    while True:
        item = radix_tree_next(m, a, &index)
        if item == 0 or index > last:
            return written
        pfn = <uint32_t>(item >> 1)
        if not radix_tree_exceptional_entry(item) and m.pages[pfn].flags & PG_dirty:
            get_page(m, pfn)
            written += write_one_page(m, a, pfn)
            put_page(m, pfn)
        index += 1
        if index == 0:
            return written
