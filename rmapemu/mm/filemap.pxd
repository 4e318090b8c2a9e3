# SPDX-License-Identifier: GPL-2.0-only
# The page cache. Kernel: mm/filemap.c, mm/truncate.c, mm/page-writeback.c (set_page_dirty, clear_page_dirty_for_io).
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.mm.types cimport machine, address_space, vm_area_struct

cdef address_space* file_open(machine* m, int kind, uint64_t size_bytes) noexcept nogil      # refs 1; NULL: -ENOMEM
cdef void file_put(machine* m, address_space* a) noexcept nogil                              # at 0: truncates to nothing, frees
cdef uint32_t find_get_page(machine* m, address_space* a, uint64_t index) noexcept nogil     # pfn with a reference, or 0 (also where the slot is a swap entry)
cdef uint32_t find_lock_page(machine* m, address_space* a, uint64_t index) noexcept nogil
cdef int add_to_page_cache_locked(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil  # 0, -ENOMEM, -EEXIST; count + 1
cdef int add_to_page_cache_lru(machine* m, uint32_t pfn, address_space* a, uint64_t index, uint32_t gfp) noexcept nogil
cdef void delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil                    # count - 1
cdef void __delete_from_page_cache(machine* m, uint32_t pfn) noexcept nogil                  # the caller drops the reference (vmscan's __remove_mapping)
cdef int set_page_dirty(machine* m, uint32_t pfn) noexcept nogil                             # 1 if it was clean; NR_FILE_DIRTY, NR_DIRTIED for page cache of disk files
cdef int clear_page_dirty_for_io(machine* m, uint32_t pfn) noexcept nogil                    # over page_mkclean for files that account dirty pages
cdef int writepage(machine* m, uint32_t pfn) noexcept nogil                                  # ->writepage of the mapping (file: done at once, NR_WRITTEN, PGPGOUT; shmem: shmem_writepage; swap cache: swap_writepage): 0, AOP_WRITEPAGE_ACTIVATE = 0x80000, -errno
cdef int filemap_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil   # 0 with the page locked and referenced; -EFAULT (SIGBUS), -ENOMEM
cdef int64_t generic_file_read(machine* m, address_space* a, uint64_t pos, uint64_t bytes) noexcept nogil    # pages touched through read(2); -errno
cdef int64_t generic_file_write(machine* m, address_space* a, uint64_t pos, uint64_t bytes, uint64_t token) noexcept nogil
cdef int vmtruncate(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil        # unmaps, drops pages, shmem's swap too
cdef int64_t filemap_fdatawrite(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil  # pages written
cdef uint64_t invalidate_mapping_pages(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil
