# SPDX-License-Identifier: GPL-2.0-only
# tmpfs and shared anonymous memory: swap-backed file pages, on the anon lists, swapped out of the page cache. Kernel: mm/shmem.c.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, address_space, vm_area_struct

cdef int shmem_getpage(machine* m, address_space* a, uint64_t index, uint32_t* pfn, bint* major) noexcept nogil  # 0 with the page locked and referenced; -EFBIG past i_size, -ENOMEM
cdef int shmem_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil
cdef int shmem_writepage(machine* m, uint32_t pfn) noexcept nogil                # into the swap cache, the slot in the tree, and out
cdef void shmem_truncate_range(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil
