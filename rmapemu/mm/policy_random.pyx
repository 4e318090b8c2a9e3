# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The policy that draws lots: every resident page is as likely a victim as any other, from a seeded generator.
# Kernel: none. The resident pages stand in an array without gaps; the last one fills the place of one that leaves.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.kmem cimport kmalloc
from rmapemu.mm.types cimport *


cdef inline uint32_t* page_at(random_state* s, uint64_t i) noexcept nogil:
    return &s.array[2 * i]


cdef inline uint32_t* place_of(random_state* s, uint64_t pfn) noexcept nogil:
    return &s.array[2 * pfn + 1]


cdef inline uint64_t draw(random_state* s) noexcept nogil:
    """xorshift64* (Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled)."""
    s.x ^= s.x >> 12
    s.x ^= s.x << 25
    s.x ^= s.x >> 27
    return s.x * <uint64_t>0x2545F4914F6CDD1D


cdef void added(machine* m, void* state, uint32_t pfn) noexcept nogil:
    cdef random_state* s = <random_state*>state
    if place_of(s, pfn)[0] == 0:
        page_at(s, s.pages)[0] = pfn
        s.pages += 1
        place_of(s, pfn)[0] = s.pages


cdef void removed(machine* m, void* state, uint32_t pfn) noexcept nogil:
    cdef random_state* s = <random_state*>state
    cdef uint32_t place = place_of(s, pfn)[0]
    cdef uint32_t last
    if place == 0:
        return
    s.pages -= 1
    last = page_at(s, s.pages)[0]
    page_at(s, place - 1)[0] = last
    place_of(s, last)[0] = place
    place_of(s, pfn)[0] = 0


cdef int victims(machine* m, void* state, uint32_t* pfn, int n) noexcept nogil:
    cdef random_state* s = <random_state*>state
    cdef int i = 0
    while i < n and s.pages:
        pfn[i] = page_at(s, ((draw(s) >> 32) * s.pages) >> 32)[0]
        removed(m, state, pfn[i])
        i += 1
    return i


cdef int random_init(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil:
    cdef uint64_t bytes = sizeof(random_state) + 8 * <uint64_t>m.zones[0].spanned_pages
    cdef random_state* s = <random_state*>kmalloc(m, bytes, GFP_KERNEL)
    if s == NULL:
        return -ENOMEM
    s.bytes = bytes
    s.frames = m.zones[0].spanned_pages
    # splitmix64's first step: near seeds start far apart
    s.x = seed + <uint64_t>0x9E3779B97F4A7C15
    s.x = (s.x ^ (s.x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    if s.x == 0:
        s.x = 1
    policy.state = s
    policy.added = added
    policy.removed = removed
    policy.touched = NULL
    policy.victims = victims
    return 0
