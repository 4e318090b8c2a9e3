# SPDX-License-Identifier: GPL-2.0-only
# Nonlinear VMAs: no offset leads to an address, so clusters of entries are scanned. Kernel: mm/rmap.c (v3.2), try_to_unmap_cluster.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, address_space, vm_area_struct

# One cluster at `cursor` bytes into the VMA: SWAP_AGAIN, or SWAP_MLOCK where check_pfn was found in a locked VMA.
cdef int try_to_unmap_cluster(machine* m, uint64_t cursor, uint32_t* mapcount, vm_area_struct* vma, uint32_t check_pfn) noexcept nogil
# The second half of try_to_unmap_file, under i_mmap_mutex; ret is what the linear half found.
cdef int try_to_unmap_nonlinear(machine* m, address_space* mapping, uint32_t pfn, int ret) noexcept nogil
