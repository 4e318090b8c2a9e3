# SPDX-License-Identifier: GPL-2.0-only
# The workbench for pages, the LRU lists and the swap cache.
from rmapemu.machine.lab_vma cimport LabVma
from rmapemu.mm.types cimport page, swap_info_struct

cdef class LabPage(LabVma):
    cdef page* _page(self, object handle) except NULL                   # of a Page that is not free
    cdef object _slot(self, object swap_type, object offset)            # (type, offset) of a slot that there is
    cdef int _slot_used(self, swap_info_struct* si, bint before, bint after) except -1      # a slot begins or ends to be in use
