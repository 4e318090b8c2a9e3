# SPDX-License-Identifier: GPL-2.0-only
# A fault on an entry that is neither none nor present. Kernel: mm/memory.c (do_swap_page).
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

# VM_FAULT_* bits
cdef int do_swap_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig) noexcept nogil
