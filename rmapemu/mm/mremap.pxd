# SPDX-License-Identifier: GPL-2.0-only
# Moving entries to another address. Kernel: mm/mremap.c.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, vm_area_struct

# Moves the entries of [old, old + size) to new: how many bytes of them were moved; less than size: -ENOMEM.
cdef uint64_t move_page_tables(machine* m, vm_area_struct* vma, uint64_t old, vm_area_struct* new_vma, uint64_t new,
                               uint64_t size) noexcept nogil
