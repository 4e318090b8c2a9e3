# SPDX-License-Identifier: GPL-2.0-only
# page_referenced of a batch. Kernel: mm/rmap.c as mm/vmscan.c calls it.
from libc.stdint cimport int8_t, uint32_t
from rmapemu.mm.types cimport machine

# page_referenced of n <= SWAP_CLUSTER_MAX pages, as if one after the other: referenced[i], or -1 for a page that has to be asked about
# alone, among them all with one of the flags `but`. A page answered here has neither VM_LOCKED nor VM_EXEC to tell that would matter.
cdef void page_referenced_batch(machine* m, const uint32_t* pfn, int n, uint32_t but, int8_t* referenced) noexcept nogil
