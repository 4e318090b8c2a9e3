# SPDX-License-Identifier: GPL-2.0-only
# Reclaim, page by page. Kernel: mm/vmscan.c of v3.2, shrink_page_list.
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.hw.ops cimport rm_prefetch
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

# Frees what can be freed of pfn[0..n): isolated, a reference held on each. Returns how many went; the others stand in
# pfn[0..*nr_kept), in order, to be put back.
cdef int shrink_page_list(machine* m, zone* z, scan_control* sc, uint32_t* pfn, int n, int* nr_kept, uint32_t ahead) noexcept nogil
# `ahead`: where look_ahead goes on; 0: nowhere.

cdef inline uint32_t look_ahead(machine* m, uint32_t pfn) noexcept nogil:
    """One step further towards the head than the batch in work: that page will be needed in the next batch.
    Only a hint: the neighbour may have moved, its links always name some page."""
    if pfn == 0 or pfn >= m.nr_frames:
        return 0
    pfn = m.pages[pfn].prev
    rm_prefetch(&m.pages[pfn])
    return pfn
