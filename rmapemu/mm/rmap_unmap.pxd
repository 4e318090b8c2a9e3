# SPDX-License-Identifier: GPL-2.0-only
# Taking every mapping away. Kernel: mm/rmap.c (v3.2), try_to_unmap_one to try_to_munlock.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, vm_area_struct

cdef int try_to_unmap(machine* m, uint32_t pfn, int flags) noexcept nogil       # SWAP_*; flags: TTU_*
cdef int try_to_munlock(machine* m, uint32_t pfn) noexcept nogil
cdef int try_to_unmap_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int flags) noexcept nogil
cdef int try_to_unmap_anon(machine* m, uint32_t pfn, int flags) noexcept nogil
cdef int try_to_unmap_file(machine* m, uint32_t pfn, int flags) noexcept nogil
