# SPDX-License-Identifier: GPL-2.0-only
# Swap areas and their free slots. Kernel: mm/swapfile.c, its first half.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine

cdef inline bint vm_swap_full(machine* m) noexcept nogil:
    """More than half of swap is in use, so that slots kept only for cached pages are better given back."""
    return m.nr_swap_pages * 2 < m.total_swap_pages

cdef int swapon(machine* m, uint64_t size_bytes, int prio) noexcept nogil            # type, or -errno
# entry with SWAP_HAS_CACHE, or 0: full (slot 0 is never given)
cdef uint64_t get_swap_page(machine* m) noexcept nogil
