# SPDX-License-Identifier: GPL-2.0-only
# A store to a present, read-only entry. Kernel: mm/memory.c (do_wp_page), ->page_mkwrite.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

# VM_FAULT_* bits. Entered with the page table lock held, left without it. orig: the entry as the fault saw it.
cdef int do_wp_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig) noexcept nogil
# The file makes ready for a store through a shared mapping: the page comes back locked. 0, or VM_FAULT_SIGBUS: truncated meanwhile, not
# locked
cdef int page_mkwrite(machine* m, vm_area_struct* vma, uint32_t pfn) noexcept nogil
