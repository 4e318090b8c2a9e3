# SPDX-License-Identifier: GPL-2.0-only
# tmpfs and shared anonymous memory: swap-backed file pages, on the anon lists, swapped out of the page cache. Kernel: mm/shmem.c.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, address_space, vm_area_struct

cdef enum:                      # sgp_type: who asks shmem_getpage_gfp
    SGP_READ = 0                # read(2): no page for a hole
    SGP_CACHE = 1               # a fault: a hole gets a page, not past i_size
    SGP_DIRTY = 2
    SGP_WRITE = 3               # write(2): past i_size too

# 0 with the page locked and referenced (*pfn 0: a hole, SGP_READ only); -EINVAL past i_size, -ENOMEM, -EFBIG.
# *major is set where the page had to be read from swap; it may be NULL.
cdef int shmem_getpage_gfp(machine* m, address_space* a, uint64_t index, uint32_t* pfn, int sgp, uint32_t gfp, bint* major) noexcept nogil
cdef int shmem_getpage(machine* m, address_space* a, uint64_t index, uint32_t* pfn, bint* major) noexcept nogil  # SGP_CACHE
# 0 with the page locked and referenced; -EFAULT (SIGBUS), -ENOMEM
cdef int shmem_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn, bint* major) noexcept nogil
cdef int shmem_writepage(machine* m, uint32_t pfn) noexcept nogil                # into the swap cache, the slot in the tree, and out
cdef void shmem_truncate_range(machine* m, address_space* a, uint64_t first, uint64_t last) noexcept nogil   # page offsets, last included
# everything from that byte on; the last page's tail is cleared
cdef void shmem_truncate(machine* m, address_space* a, uint64_t size_bytes) noexcept nogil
