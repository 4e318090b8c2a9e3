# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The page cache of a file: finding pages, adding and removing them, and the fault that maps them.
# Kernel: mm/filemap.c (find_get_page, add_to_page_cache_locked, __delete_from_page_cache, filemap_fault, page_cache_read).
# Differs: no file readahead; a read is over when it was asked for, so a page in the cache is uptodate and unlocked.
from libc.errno cimport EFAULT, ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.kmem cimport kmem_cache_free, kmem_cache_zalloc
from rmapemu.mm.lock cimport *
from rmapemu.mm.page_alloc cimport alloc_pages, get_page, put_page
from rmapemu.mm.page_writeback cimport disk_forget, disk_read, mapping_cap_account_dirty
from rmapemu.mm.radix_tree cimport (page_item, radix_tree_delete, radix_tree_exceptional_entry, radix_tree_insert, radix_tree_lookup)
from rmapemu.mm.rmap cimport page_mapped
from rmapemu.mm.shmem cimport shmem_truncate_range
from rmapemu.mm.swap_lru cimport lru_cache_add_lru
from rmapemu.mm.truncate cimport truncate_inode_pages
from rmapemu.mm.types cimport *


cdef address_space* file_open(machine* m, int kind, uint64_t size_bytes) noexcept nogil:
    cdef address_space* a = <address_space*>kmem_cache_zalloc(m, KMEM_MAPPING, GFP_KERNEL)
    if a == NULL:
        return NULL
    a.ino = <uint32_t>(a - <address_space*>m.kmem[KMEM_MAPPING].base)
    a.kind = kind
    a.page_mkwrite = kind == FILE_REGULAR
    a.page_shift = m.page_shift
    a.i_size = size_bytes
    a.refs = 1
    return a


cdef void file_put(machine* m, address_space* a) noexcept nogil:
    a.refs -= 1
    if a.refs:
        return
    a.i_size = 0
    if a.kind == FILE_SHMEM:
        shmem_truncate_range(m, a, 0, <uint64_t>-1)
    else:
        truncate_inode_pages(m, a, 0)
        disk_forget(m, a, 0)
    m.committed_as -= a.acct_pages
    BUG_ON(m, a.nrpages != 0, b"inode->i_data.nrpages", b"end_writeback")
    # a user count of 0 is what a dead file looks like; its memory is reused
    a.ino = 0
    kmem_cache_free(m, KMEM_MAPPING, a)


cdef void SetPageUptodate(machine* m, uint32_t pfn) noexcept nogil:
    if m.pages[pfn].flags & PG_uptodate:
        return
    m.pages[pfn].flags |= PG_uptodate
    if m.hw.skey != NULL:
        m.hw.ops.page_set_uptodate(&m.hw, pfn)


cdef uint32_t find_get_page(machine* m, address_space* a, uint64_t index) noexcept nogil:
    cdef uint64_t item = radix_tree_lookup(m, a, index)
    cdef uint32_t pfn
    if item == 0 or radix_tree_exceptional_entry(item):
        return 0
    pfn = <uint32_t>(item >> 1)
    get_page(m, pfn)
    return pfn


cdef uint32_t find_lock_page(machine* m, address_space* a, uint64_t index) noexcept nogil:
    cdef uint32_t pfn, before = 0
    while True:
        pfn = find_get_page(m, a, index)
        if pfn == 0:
            return 0
        lock_page(m, pfn)
        if page_file_mapping(m, &m.pages[pfn]) == a:
            return pfn
        # truncated while we waited for the lock; or a page cache bent by hand, where the kernel would go round for ever
        unlock_page(m, pfn)
        put_page(m, pfn)
        BUG_ON(m, pfn == before, b"page->mapping != mapping", b"find_lock_page")
        before = pfn


cdef int add_to_page_cache_locked(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int error
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"add_to_page_cache_locked")
    VM_BUG_ON(m, p.flags & PG_swapbacked, b"PageSwapBacked(page)", b"add_to_page_cache_locked")
    get_page(m, pfn)
    p.mapping = mapping_to_field(m, a)
    p.index = index
    spin_lock(m, LOCK_TREE)
    error = radix_tree_insert(m, a, index, page_item(pfn), gfp)
    if error == 0:
        a.nrpages += 1
        inc_zone_page_state(m, pfn, NR_FILE_PAGES)
    spin_unlock(m, LOCK_TREE)
    if error:
        p.mapping = 0
        put_page(m, pfn)
    return error


cdef int add_to_page_cache_lru(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil:
    cdef int error
    trylock_page(m, pfn)                # nobody else knows the page (__set_page_locked)
    error = add_to_page_cache_locked(m, pfn, a, index, gfp)
    if error:
        unlock_page(m, pfn)
        return error
    lru_cache_add_lru(m, pfn, LRU_INACTIVE_FILE)
    return 0


cdef void __delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef address_space* a = page_file_mapping(m, p)
    if a == NULL:
        kernel_bug(m, BUG_OOPS, b"page->mapping->page_tree", b"__delete_from_page_cache")
    radix_tree_delete(m, a, p.index)
    p.mapping = 0                       # the index stays
    a.nrpages -= 1
    dec_zone_page_state(m, pfn, NR_FILE_PAGES)
    if p.flags & PG_swapbacked:
        dec_zone_page_state(m, pfn, NR_SHMEM)
    BUG_ON(m, page_mapped(m, pfn), b"page_mapped(page)", b"__delete_from_page_cache")
    if p.flags & PG_dirty and mapping_cap_account_dirty(a):
        dec_zone_page_state(m, pfn, NR_FILE_DIRTY)


cdef void delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil:
    BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"delete_from_page_cache")
    spin_lock(m, LOCK_TREE)
    __delete_from_page_cache(m, pfn)
    spin_unlock(m, LOCK_TREE)
    put_page(m, pfn)


# ---------------------------------------------------------------- reading pages in
cdef void readpage(machine* m, address_space* a, uint32_t pfn) noexcept nogil:
    """->readpage of a locked page: it comes back uptodate and unlocked."""
    disk_read(m, a, pfn, m.pages[pfn].index)
    SetPageUptodate(m, pfn)
    unlock_page(m, pfn)


cdef int page_cache_read(machine* m, address_space* a, uint64_t index) noexcept nogil:
    """Adds the page and reads it: 0 (also where it is there by now), -ENOMEM."""
    cdef uint32_t pfn = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    cdef int error
    if pfn == 0:
        return -ENOMEM
    error = add_to_page_cache_lru(m, pfn, a, index, GFP_KERNEL)
    if error == 0:
        readpage(m, a, pfn)
    put_page(m, pfn)
    return -ENOMEM if error == -ENOMEM else 0


cdef uint32_t read_cache_page(machine* m, address_space* a, uint64_t index, int* error) noexcept nogil:
    cdef uint32_t pfn = find_get_page(m, a, index)
    while pfn == 0:
        error[0] = page_cache_read(m, a, index)
        if error[0]:
            return 0
        pfn = find_get_page(m, a, index)
    if not m.pages[pfn].flags & PG_uptodate:
        lock_page(m, pfn)
        readpage(m, a, pfn)
    return pfn


cdef int filemap_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil:
    cdef address_space* a = vma.vm_file
    cdef uint32_t found, before = 0
    cdef int error
    if pgoff >= i_size_pages(m, a):
        return -EFAULT
    found = find_get_page(m, a, pgoff)
    if found == 0:
        count_vm_event(m, PGMAJFAULT)
        major[0] = True
    while True:
        while found == 0:
            error = page_cache_read(m, a, pgoff)
            if error:
                return error
            found = find_get_page(m, a, pgoff)
        lock_page(m, found)
        if page_file_mapping(m, &m.pages[found]) == a:
            break
        unlock_page(m, found)
        put_page(m, found)
        BUG_ON(m, found == before, b"page->mapping != mapping", b"filemap_fault")
        before = found
        found = find_get_page(m, a, pgoff)
    VM_BUG_ON(m, m.pages[found].index != pgoff, b"page->index != offset", b"filemap_fault")
    if not m.pages[found].flags & PG_uptodate:
        readpage(m, a, found)
        lock_page(m, found)
    if pgoff >= i_size_pages(m, a):
        unlock_page(m, found)
        put_page(m, found)
        return -EFAULT
    pfn[0] = found
    return 0
