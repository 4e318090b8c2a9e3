# SPDX-License-Identifier: GPL-2.0-only
# Locked memory. Kernel: mm/mlock.c, and __get_user_pages of mm/memory.c as far as it serves it.
from libc.stdint cimport int64_t, uint64_t, uint32_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

cdef enum:
    MCL_CURRENT = 1
    MCL_FUTURE = 2

cdef int sys_mlockall(machine* m, mm_struct* mm, int flags) noexcept nogil    # MCL_*; 0, -EINVAL
cdef int sys_munlockall(machine* m, mm_struct* mm) noexcept nogil
cdef int sys_mlock(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes, bint lock) noexcept nogil
cdef void mlock_vma_page(machine* m, uint32_t pfn) noexcept nogil
cdef void munlock_vma_page(machine* m, uint32_t pfn) noexcept nogil
cdef void clear_page_mlock(machine* m, uint32_t pfn) noexcept nogil      # page freed, truncated or migrated while mlocked
cdef void munlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil
# Faults the pages of a locked VMA in, without saying how far it came: 0, or the number of pages where it cannot be locked after all.
cdef int64_t mlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil
cdef int make_pages_present(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil   # within one VMA; 0, -EFAULT, -ENOMEM
