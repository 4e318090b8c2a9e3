# SPDX-License-Identifier: GPL-2.0-only
# The VMAs of a file by page offset: i_mmap and i_mmap_nonlinear. Kernel: mm/prio_tree.c.
# A declared deviation: VMAs that cover an offset come in (vm_pgoff, insertion) order. A treap with subtree maxima; no allocation.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport address_space, vm_area_struct

cdef void vma_prio_tree_insert(address_space* a, vm_area_struct* vma) noexcept nogil
cdef void vma_prio_tree_remove(address_space* a, vm_area_struct* vma) noexcept nogil
# First VMA that covers any of [first, last] pages, and the next one after `vma`; NULL: no more.
cdef vm_area_struct* vma_prio_tree_first(address_space* a, uint64_t first, uint64_t last) noexcept nogil
cdef vm_area_struct* vma_prio_tree_next(address_space* a, vm_area_struct* vma, uint64_t first, uint64_t last) noexcept nogil
cdef void vma_nonlinear_insert(address_space* a, vm_area_struct* vma) noexcept nogil
cdef void vma_nonlinear_add(address_space* a, vm_area_struct* vma, vm_area_struct* parent) noexcept nogil
cdef void vma_nonlinear_remove(address_space* a, vm_area_struct* vma) noexcept nogil
