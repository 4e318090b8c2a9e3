# SPDX-License-Identifier: GPL-2.0-only
# Linking: anon_vmas, their chains and references. Kernel: mm/rmap.c (v3.2), from anon_vma_alloc to page_unlock_anon_vma.
from libc.stdint cimport uint32_t
from rmapemu.mm.types cimport machine, anon_vma, anon_vma_chain, vm_area_struct

cdef int anon_vma_prepare(machine* m, vm_area_struct* vma) noexcept nogil                        # 0, -ENOMEM
cdef int anon_vma_clone(machine* m, vm_area_struct* dst, vm_area_struct* src) noexcept nogil     # 0, -ENOMEM with dst unlinked
cdef int anon_vma_fork(machine* m, vm_area_struct* vma, vm_area_struct* pvma) noexcept nogil     # 0, -ENOMEM
cdef void unlink_anon_vmas(machine* m, vm_area_struct* vma) noexcept nogil
cdef anon_vma* anon_vma_alloc(machine* m) noexcept nogil                                         # refcount 1, its own root; NULL
cdef void anon_vma_free(machine* m, anon_vma* av) noexcept nogil
cdef anon_vma_chain* anon_vma_chain_alloc(machine* m, uint32_t gfp) noexcept nogil
cdef void anon_vma_chain_free(machine* m, anon_vma_chain* avc) noexcept nogil
cdef void anon_vma_chain_link(machine* m, vm_area_struct* vma, anon_vma_chain* avc, anon_vma* av) noexcept nogil
cdef void put_anon_vma(machine* m, anon_vma* av) noexcept nogil
cdef void __put_anon_vma(machine* m, anon_vma* av) noexcept nogil
cdef anon_vma* page_get_anon_vma(machine* m, uint32_t pfn) noexcept nogil
cdef anon_vma* page_lock_anon_vma(machine* m, uint32_t pfn) noexcept nogil
cdef void page_unlock_anon_vma(machine* m, anon_vma* av) noexcept nogil

cdef inline void get_anon_vma(anon_vma* av) noexcept nogil:
    av.refcount += 1
