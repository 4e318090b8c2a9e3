# SPDX-License-Identifier: GPL-2.0-only
# The swap cache: pages that have a slot. Kernel: mm/swap_state.c and mm/page_io.c. The cache is an array by slot, not a radix tree.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, vm_area_struct

cdef int add_to_swap(machine* m, uint32_t pfn) noexcept nogil                        # 1 in the cache and dirty; 0 no slot
cdef int add_to_swap_cache(machine* m, uint32_t pfn, uint64_t entry) noexcept nogil  # 0, -ENOMEM; the page is locked, count + 1
cdef void delete_from_swap_cache(machine* m, uint32_t pfn) noexcept nogil            # and swapcache_free, count - 1
cdef void __delete_from_swap_cache(machine* m, uint32_t pfn) noexcept nogil          # the slot keeps SWAP_HAS_CACHE
cdef uint32_t lookup_swap_cache(machine* m, uint64_t entry) noexcept nogil           # pfn with a reference, or 0
# pfn with a reference (unlocked, uptodate), or 0: -ENOMEM or gone
cdef uint32_t read_swap_cache_async(machine* m, uint64_t entry, uint32_t gfp, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef uint32_t swapin_readahead(machine* m, uint64_t entry, uint32_t gfp, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void free_page_and_swap_cache(machine* m, uint32_t pfn) noexcept nogil
cdef void free_swap_cache(machine* m, uint32_t pfn) noexcept nogil
# 0; completes at once. pswpout; the token goes to the slot
cdef int swap_writepage(machine* m, uint32_t pfn) noexcept nogil
