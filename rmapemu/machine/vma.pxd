# SPDX-License-Identifier: GPL-2.0-only
# A vm_area_struct as a Python object.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport machine, vm_area_struct, mm_struct
from rmapemu.machine.machine cimport Machine

cdef class Vma:
    cdef readonly Machine machine
    cdef readonly uint32_t serial                   # number of its allocation
    cdef readonly uint32_t pid
    cdef readonly uint64_t start                    # the range that the handle was made for: it does not change when the VMA does
    cdef readonly uint64_t end
    cdef uint64_t slot                              # where in the arena
    cdef vm_area_struct* v(self) except NULL        # raises when it is gone

cdef Vma vma_handle(Machine machine, vm_area_struct* v)
cdef Vma vma_handle_range(Machine machine, vm_area_struct* v, uint64_t start, uint64_t end)
cdef vm_area_struct* vma_arg(Machine machine, object handle) except NULL        # of a Vma of this machine
cdef vm_area_struct* vma_at(mm_struct* mm, uint64_t va) noexcept nogil          # that has the address, or NULL
