# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Policies that are one list: exact LRU (told of every access), FIFO, and clock (second chance by the reverse map's accessed bits).
# Kernel: none; clock asks page_referenced. The list is circular through frame 0, which no page ever is: newest behind it, oldest
# before it. An untouched link is 0, so a frame that is in no list reads as next == prev == 0; the sentinel alone may mean itself.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.mm.kmem cimport kmalloc
from rmapemu.mm.rmap_referenced cimport page_referenced
from rmapemu.mm.types cimport *


cdef inline uint32_t* next_of(list_state* s, uint32_t pfn) noexcept nogil:
    return &s.link[2 * <uint64_t>pfn]


cdef inline uint32_t* prev_of(list_state* s, uint32_t pfn) noexcept nogil:
    return &s.link[2 * <uint64_t>pfn + 1]


cdef inline bint linked(list_state* s, uint32_t pfn) noexcept nogil:
    # the only page of a list has the sentinel on both sides
    return next_of(s, pfn)[0] != 0 or prev_of(s, pfn)[0] != 0 or next_of(s, 0)[0] == pfn


cdef inline void link_newest(list_state* s, uint32_t pfn) noexcept nogil:
    cdef uint32_t first = next_of(s, 0)[0]
    next_of(s, pfn)[0] = first
    prev_of(s, pfn)[0] = 0
    prev_of(s, first)[0] = pfn
    next_of(s, 0)[0] = pfn
    s.pages += 1


cdef inline void unlink(list_state* s, uint32_t pfn) noexcept nogil:
    cdef uint32_t n = next_of(s, pfn)[0]
    cdef uint32_t p = prev_of(s, pfn)[0]
    next_of(s, p)[0] = n
    prev_of(s, n)[0] = p
    next_of(s, pfn)[0] = 0
    prev_of(s, pfn)[0] = 0
    s.pages -= 1


cdef void added(machine* m, void* state, uint32_t pfn) noexcept nogil:
    if not linked(<list_state*>state, pfn):
        link_newest(<list_state*>state, pfn)


cdef void removed(machine* m, void* state, uint32_t pfn) noexcept nogil:
    if linked(<list_state*>state, pfn):
        unlink(<list_state*>state, pfn)


cdef void lru_touched(machine* m, void* state, const uint32_t* pfn, int64_t n) noexcept nogil:
    cdef list_state* s = <list_state*>state
    cdef int64_t i
    for i in range(n):
        if next_of(s, 0)[0] != pfn[i] and linked(s, pfn[i]):
            unlink(s, pfn[i])
            link_newest(s, pfn[i])


cdef int oldest(machine* m, void* state, uint32_t* pfn, int n) noexcept nogil:
    cdef list_state* s = <list_state*>state
    cdef int i = 0
    while i < n and s.pages:
        pfn[i] = prev_of(s, 0)[0]
        unlink(s, pfn[i])
        i += 1
    return i


cdef uint32_t clock_victim(machine* m, list_state* s) noexcept nogil:
    """The hand stands at the oldest: a page in use since it last passed goes round once more. Every bit is cleared in one round,
    so the second ends it."""
    cdef uint64_t turns = 2 * s.pages
    cdef uint64_t vm_flags
    cdef uint32_t pfn = prev_of(s, 0)[0]
    while turns:
        vm_flags = 0
        if not page_referenced(m, pfn, 0, 0, &vm_flags):
            break
        unlink(s, pfn)
        link_newest(s, pfn)
        pfn = prev_of(s, 0)[0]
        turns -= 1
    unlink(s, pfn)
    return pfn


cdef int clock_victims(machine* m, void* state, uint32_t* pfn, int n) noexcept nogil:
    cdef list_state* s = <list_state*>state
    cdef int i = 0
    while i < n and s.pages:
        pfn[i] = clock_victim(m, s)
        i += 1
    return i


cdef int list_init(machine* m, reclaim_policy* policy) noexcept nogil:
    cdef uint64_t bytes = sizeof(list_state) + 8 * <uint64_t>m.zones[0].spanned_pages
    cdef list_state* s = <list_state*>kmalloc(m, bytes, GFP_KERNEL)
    if s == NULL:
        return -ENOMEM
    s.bytes = bytes
    policy.state = s
    policy.added = added
    policy.removed = removed
    policy.touched = NULL
    policy.victims = oldest
    return 0


cdef int fifo_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil:
    return list_init(m, policy)


cdef int lru_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil:
    cdef int err = list_init(m, policy)
    policy.touched = lru_touched
    return err


cdef int clock_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil:
    cdef int err = list_init(m, policy)
    policy.victims = clock_victims
    return err
