# SPDX-License-Identifier: GPL-2.0-only
# The page cache. Kernel: mm/filemap.c. Dirty pages stand in page_writeback, truncation in truncate, read(2) and write(2) in file_io,
# beside this file; their public functions can be had from here.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.mm.types cimport machine, address_space, vm_area_struct
from rmapemu.mm.file_io cimport generic_file_read, generic_file_write
from rmapemu.mm.page_writeback cimport AOP_WRITEPAGE_ACTIVATE, clear_page_dirty_for_io, filemap_fdatawrite, set_page_dirty, writepage
from rmapemu.mm.truncate cimport invalidate_mapping_pages, truncate_inode_page, vmtruncate

cdef address_space* file_open(machine* m, int kind, uint64_t size_bytes) noexcept nogil      # refs 1; NULL: -ENOMEM
cdef void file_put(machine* m, address_space* a) noexcept nogil                              # at 0: truncates to nothing, frees
# pfn with a reference, or 0 (also where the slot is a swap entry)
cdef uint32_t find_get_page(machine* m, address_space* a, uint64_t index) noexcept nogil
cdef uint32_t find_lock_page(machine* m, address_space* a, uint64_t index) noexcept nogil
# 0, -ENOMEM, -EEXIST; count + 1
cdef int add_to_page_cache_locked(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil
# the same; the page comes locked and on its list
cdef int add_to_page_cache_lru(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil
cdef void delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil                    # count - 1
# the caller drops the reference (vmscan's __remove_mapping) and holds tree_lock
cdef void __delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil
# 0 with the page locked and referenced; -EFAULT (SIGBUS), -ENOMEM
cdef int filemap_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil
# uptodate, referenced, unlocked; read in where it is missing. 0: *error
cdef uint32_t read_cache_page(machine* m, address_space* a, uint64_t index, int* error) noexcept nogil
cdef void SetPageUptodate(machine* m, uint32_t pfn) noexcept nogil                           # a storage key is reset, once

cdef inline uint32_t mapping_to_field(machine* m, const address_space* a) noexcept nogil:
    """page.mapping of a file's page."""
    return a.ino << 2           # PAGE_MAPPING_SHIFT

cdef inline uint64_t i_size_pages(machine* m, const address_space* a) noexcept nogil:
    """Pages that the file has bytes in."""
    return (a.i_size >> m.page_shift) + ((a.i_size & ((<uint64_t>1 << m.page_shift) - 1)) != 0)
