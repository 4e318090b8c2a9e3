# SPDX-License-Identifier: GPL-2.0-only
# Cutting files. Kernel: mm/truncate.c.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, address_space

# 0; unmaps (private copies too), drops pages, shmem's swap too
cdef int vmtruncate(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil
cdef int truncate_inode_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil      # a locked page: 0, -EIO: no longer the file's
cdef int truncate_complete_page(machine* m, address_space* a, uint32_t pfn) noexcept nogil   # the same, unmapped already
cdef void truncate_inode_pages(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil     # everything from that byte on
cdef void cancel_dirty_page(machine* m, uint32_t pfn) noexcept nogil
# page offsets, last included; clean, unmapped pages dropped
cdef uint64_t invalidate_mapping_pages(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil
