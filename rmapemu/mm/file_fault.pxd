# SPDX-License-Identifier: GPL-2.0-only
# Faults in file mappings. Kernel: mm/memory.c (do_linear_fault, do_nonlinear_fault, __do_fault).
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

# VM_FAULT_* bits
cdef int do_linear_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig) noexcept nogil
cdef int do_nonlinear_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte,
                            uint64_t orig) noexcept nogil
