# SPDX-License-Identifier: GPL-2.0-only
# Reclaim, page by page. Kernel: mm/vmscan.c of v3.2, shrink_page_list.
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

# Frees what can be freed of pfn[0..n): isolated, a reference held on each. Returns how many went; the others stand in
# pfn[0..*nr_kept), in order, to be put back.
cdef int shrink_page_list(machine* m, zone* z, scan_control* sc, uint32_t* pfn, int n, int* nr_kept, int lru) noexcept nogil
# `lru`: the inactive list that they come from, of which the next batch, and that of its active list, are fetched; -1: of none.
