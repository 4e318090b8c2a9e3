# SPDX-License-Identifier: GPL-2.0-only
# The workbench for page tables, the TLB and storage keys.
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.lab_page cimport LabPage
from rmapemu.mm.types cimport mm_struct

cdef class LabPte(LabPage):
    cdef int64_t _write(self, mm_struct* mm, uint64_t va, uint64_t e) except -1
    cdef uint64_t _prot(self, mm_struct* mm, uint64_t va) noexcept
