# SPDX-License-Identifier: GPL-2.0-only
# Locked memory. Kernel: mm/mlock.c, and __get_user_pages of mm/memory.c as far as it serves it.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

cdef int sys_mlock(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes, bint lock) noexcept nogil
cdef void mlock_vma_page(machine* m, uint32_t pfn) noexcept nogil
cdef void munlock_vma_page(machine* m, uint32_t pfn) noexcept nogil
cdef void clear_page_mlock(machine* m, uint32_t pfn) noexcept nogil      # page freed, truncated or migrated while mlocked
cdef void munlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil
# 0: all faulted in; else -errno, ignored by mmap
cdef int mlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil
cdef int make_pages_present(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil
