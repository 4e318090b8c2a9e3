# SPDX-License-Identifier: GPL-2.0-only
# Swap areas, slots and their counts. Kernel: mm/swapfile.c.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, swap_info_struct
from rmapemu.mm.swap_scan cimport get_swap_page, swapon

# room for one more count after -ENOMEM: 0, -ENOMEM
cdef int add_swap_count_continuation(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil
# 0, also for what is no slot in use (a migration entry, a corrupted one); -ENOMEM: continuation not to be had
cdef int swap_duplicate(machine* m, uint64_t entry) noexcept nogil
cdef void swap_free(machine* m, uint64_t entry) noexcept nogil                       # one user less
cdef void swapcache_free(machine* m, uint64_t entry, uint32_t pfn) noexcept nogil    # the cache lets go of the slot
cdef void swap_shmem_alloc(machine* m, uint64_t entry) noexcept nogil                # count becomes SWAP_MAP_SHMEM
cdef int free_swap_and_cache(machine* m, uint64_t entry) noexcept nogil              # an entry is dropped by zap: 1 if it was valid
cdef uint32_t swap_count(machine* m, uint64_t entry) noexcept nogil                  # users, continuation included, SWAP_HAS_CACHE not
cdef uint32_t page_swapcount(machine* m, uint32_t pfn) noexcept nogil
cdef bint reuse_swap_page(machine* m, uint32_t pfn) noexcept nogil
cdef int try_to_free_swap(machine* m, uint32_t pfn) noexcept nogil
# one unit of the counts beyond the byte is broken: do any remain?
cdef bint count_down_continued(swap_info_struct* si, uint32_t offset) noexcept nogil
# one more than the byte can say: 0, -ENOMEM where there is no room for it
cdef int count_up_continued(swap_info_struct* si, uint32_t offset) noexcept nogil
