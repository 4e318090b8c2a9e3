# SPDX-License-Identifier: GPL-2.0-only
# Reclaim, a batch of pages at a time. Kernel: mm/vmscan.c of v3.2, shrink_page_list, shrink_inactive_list, shrink_active_list.
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.mm.types cimport *

cdef struct scan_control:
    uint64_t nr_scanned         # pages, mapped and swap-cache pages twice
    uint64_t nr_reclaimed       # pages freed
    uint64_t nr_to_reclaim      # stop soon after so many
    uint32_t gfp
    int order
    int priority                # of the pass: DEF_PRIORITY down to 0
    uint8_t one_page            # frames=: pages one by one, until one is free
    uint8_t forced              # the policy has decided: no second opinion by accessed bits, dirty file pages are written

cdef inline bint evictable(machine* m, uint32_t pfn) noexcept nogil:
    """page_evictable(page, NULL): neither mlocked nor of a file that is locked in memory."""
    cdef page* p = &m.pages[pfn]
    if p.flags & PG_mlocked:
        return False
    if p.mapping == 0 or p.mapping & PAGE_MAPPING_ANON or p.flags & PG_swapcache:
        return True
    return not page_file_mapping(m, p).unevictable

cdef int shrink_inactive_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil   # pages freed
cdef void shrink_active_list(machine* m, zone* z, scan_control* sc, uint32_t nr, int file) noexcept nogil
# Frees what can be freed of pfn[0..n): isolated, a reference held on each. Returns how many went; the others stand in
# pfn[0..*nr_kept), in order, to be put back.
cdef int shrink_page_list(machine* m, zone* z, scan_control* sc, uint32_t* pfn, int n, int* nr_kept, uint32_t ahead) noexcept nogil
cdef void putback_lru_pages(machine* m, zone* z, const uint32_t* pfn, int n) noexcept nogil
