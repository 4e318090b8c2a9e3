# SPDX-License-Identifier: GPL-2.0-only
# Reclaim, a batch of pages at a time. Kernel: mm/vmscan.c of v3.2, shrink_inactive_list, shrink_active_list.
from libc.stdint cimport uint32_t
from rmapemu.mm.types cimport machine, zone
from rmapemu.mm.vmscan_page cimport scan_control

cdef int shrink_inactive_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil   # pages freed
cdef void shrink_active_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil
cdef void putback_lru_pages(machine* m, zone* z, const uint32_t* pfn, int n) noexcept nogil
