# SPDX-License-Identifier: GPL-2.0-only
# Pages of user memory as the kernel reaches for them. Kernel: mm/memory.c (follow_page, __get_user_pages).
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport machine, vm_area_struct

cdef enum:  # foll_flags
    FOLL_WRITE = 0x1            # the entry must be writable
    FOLL_MLOCK = 0x2            # a page of a locked VMA becomes mlocked
    FOLL_FORCE = 0x4            # any permission will do

# FOLL_GET | FOLL_DUMP: the page that the entry maps, PROT_NONE or not, with a reference taken, or 0; the zero page is none.
cdef uint32_t follow_present(machine* m, vm_area_struct* vma, uint64_t va, const uint64_t* pte) noexcept nogil
# Touches, and faults in where need be, every page of [start, end), which lies within the VMA: 0, -EFAULT, -ENOMEM. mmap_sem is held.
cdef int get_user_pages(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, int foll) noexcept nogil
