# SPDX-License-Identifier: GPL-2.0-only
# check()'s part for address spaces and anon_vmas; see census.pxd.
from rmapemu.machine.census cimport census
from rmapemu.mm.types cimport machine

cdef int check_mms(census* c, machine* m) noexcept nogil            # VMAs, entries, rss, nr_ptes, TLB; first of all
cdef int check_anon_vmas(census* c, machine* m) noexcept nogil      # lists, chains, refcounts, roots; after check_mms
