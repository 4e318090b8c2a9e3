# SPDX-License-Identifier: GPL-2.0-only
# The workbench for address spaces and VMAs.
from libc.stdint cimport int64_t
from rmapemu.machine.bench cimport Bench
from rmapemu.machine.vma cimport Vma
from rmapemu.mm.types cimport mm_struct, vm_area_struct

cdef class LabVma(Bench):
    # (start, end) in bytes of a range of pages where no VMA is, `but` apart
    cdef object _range(self, mm_struct* mm, object start, object npages, vm_area_struct* but)
    cdef Vma _made(self, int64_t slot)
