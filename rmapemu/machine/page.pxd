# SPDX-License-Identifier: GPL-2.0-only
# A frame's struct page as a Python object.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport address_space, anon_vma, page, vm_area_struct
from rmapemu.machine.machine cimport Machine

cdef class Page:
    cdef readonly Machine machine
    cdef readonly uint32_t pfn
    cdef page* p(self) except NULL          # raises when the machine is closed
    cdef list _anon(self, anon_vma* av)
    cdef list _file(self, address_space* a)
    cdef object _mapper(self, vm_area_struct* v, uint64_t va)

cdef Page page_handle(Machine machine, uint32_t pfn)
# The pfn of a Page of this machine; `live`: not a free one. Raises TypeError, ValueError.
cdef uint32_t pfn_of(Machine machine, object handle, bint live) except 0
