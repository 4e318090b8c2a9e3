# SPDX-License-Identifier: GPL-2.0-only
# Dirty pages: accounting, and writing them back. Kernel: mm/page-writeback.c.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.mm.types cimport machine, address_space, page

cdef enum:
    AOP_WRITEPAGE_ACTIVATE = 0x80000    # ->writepage did not write: the page comes back dirty, still locked, and should be activated

# 1 if it was clean; NR_FILE_DIRTY, NR_DIRTIED for page cache of disk files
cdef int set_page_dirty(machine* m, uint32_t pfn) noexcept nogil
# 1 if it was dirty; over page_mkclean for files that account dirty pages
cdef int clear_page_dirty_for_io(machine* m, uint32_t pfn) noexcept nogil
# ->writepage of a locked page that is clean by now: file (done at once: NR_WRITTEN, PGPGOUT), shmem (shmem_writepage), swap cache
# (swap_writepage). 0 with the page unlocked, AOP_WRITEPAGE_ACTIVATE with it locked, or -errno. for_reclaim: reclaim asks.
cdef int writepage(machine* m, uint32_t pfn) noexcept nogil
# page offsets, last included; pages written
cdef int64_t filemap_fdatawrite(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil
# the block device gives the page's bytes
cdef void disk_read(machine* m, address_space* a, uint32_t pfn, uint64_t index) noexcept nogil
# blocks from page offset `first` on are freed
cdef void disk_forget(machine* m, address_space* a, uint64_t first) noexcept nogil

cdef inline bint mapping_cap_account_dirty(const address_space* a) noexcept nogil:
    return a.kind == 0          # FILE_REGULAR
