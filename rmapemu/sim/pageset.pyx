# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The set of pages that a trace touches, and how: an open-addressing hash table over page numbers, fed in batches.
# Kernel: none. Memory is bounded by the touched pages (10 to 40 bytes each), not by the trace's length.
from libc.stdint cimport uint64_t, uint32_t, uint8_t, int64_t
from libc.stdlib cimport calloc, free
import numpy as np

cdef extern from *:
    """
    #define rm_rarely(x) __builtin_expect(!!(x), 0)
    """
    bint rm_rarely(bint x) noexcept nogil

cdef enum:
    FIRST_LG2 = 12
    NOTHING = -1                    # result of add: all went well
    NO_MEMORY = -2

cdef struct table_t:
    uint64_t* key                   # page number + 1; 0: empty
    uint8_t* kinds                  # bit per access kind seen
    uint64_t mask                   # slots - 1
    uint64_t used


cdef inline uint64_t slot_of(const table_t* t, uint64_t key) noexcept nogil:
    """Where the key stands, or where it would."""
    cdef uint64_t i = (key * <uint64_t>0x9E3779B97F4A7C15 >> 20) & t.mask
    while t.key[i] != 0 and t.key[i] != key:
        i = (i + 1) & t.mask
    return i


cdef int table_init(table_t* t, int lg2) noexcept nogil:
    t.mask = (<uint64_t>1 << lg2) - 1
    t.used = 0
    t.key = <uint64_t*>calloc(t.mask + 1, sizeof(uint64_t))
    t.kinds = <uint8_t*>calloc(t.mask + 1, 1)
    return 0 if t.key != NULL and t.kinds != NULL else NO_MEMORY


cdef void table_deinit(table_t* t) noexcept nogil:
    free(t.key)
    free(t.kinds)
    t.key = NULL
    t.kinds = NULL


cdef int table_grow(table_t* t) noexcept nogil:
    cdef table_t larger
    cdef uint64_t i, at
    cdef int lg2 = 0
    while (<uint64_t>1 << lg2) < 4 * (t.mask + 1):
        lg2 += 1
    if table_init(&larger, lg2):
        table_deinit(&larger)
        return NO_MEMORY
    for i in range(t.mask + 1):
        if t.key[i]:
            at = slot_of(&larger, t.key[i])
            larger.key[at] = t.key[i]
            larger.kinds[at] = t.kinds[i]
    larger.used = t.used
    table_deinit(t)
    t[0] = larger
    return 0


cdef inline int table_add(table_t* t, uint64_t page, uint8_t kinds) noexcept nogil:
    cdef uint64_t at = slot_of(t, page + 1)
    t.kinds[at] |= kinds
    if rm_rarely(t.key[at] == 0):
        t.key[at] = page + 1
        t.used += 1
        if 2 * t.used > t.mask:
            return table_grow(t)
    return 0


cdef int64_t add_run(table_t* t, const uint64_t* va, const uint32_t* size, const uint8_t* kind, uint8_t kind0, int64_t n,
                     int page_shift, uint64_t limit) noexcept nogil:
    """NOTHING, NO_MEMORY, or the number of the first access with a byte at or above `limit`."""
    cdef int64_t i
    cdef uint64_t page, last, seen = ~<uint64_t>0
    cdef uint8_t k = 0, bit
    for i in range(n):
        last = va[i] + (size[i] - 1 if size != NULL and size[i] else 0)
        if rm_rarely(last >= limit or last < va[i]):
            return i
        page = va[i] >> page_shift
        bit = <uint8_t>1 << ((kind[i] if kind != NULL else kind0) & 3)
        if page == seen and k & bit and last >> page_shift == page:
            continue
        k = bit if page != seen else k | bit
        seen = page
        if rm_rarely(table_add(t, page, bit) != 0):
            return NO_MEMORY
        while rm_rarely(page < last >> page_shift):
            page += 1
            if table_add(t, page, bit) != 0:
                return NO_MEMORY
    return NOTHING


cdef class PageSet:
    """Pages touched by one process. `add` batches, then `pages()`.

    page_shift: lg2 of the page size in bytes. limit: addresses at or above it are refused.
    """
    cdef table_t t
    cdef int page_shift
    cdef uint64_t limit

    def __cinit__(self, int page_shift, uint64_t limit):
        self.page_shift = page_shift
        self.limit = limit
        if table_init(&self.t, FIRST_LG2):
            raise MemoryError("no memory for the set of touched pages")

    def __dealloc__(self):
        table_deinit(&self.t)

    def __len__(self):
        return self.t.used

    def add(self, const uint64_t[::1] address, const uint32_t[::1] size, const uint8_t[::1] kind, uint8_t kind0=0):
        """Add accesses: address uint64[n] in bytes; size uint32[n] in bytes or None (one byte); kind uint8[n] or None (all kind0).

        Returns None, or the number of the first access beyond the limit; those before it have been added.
        """
        cdef int64_t n = address.shape[0], got
        if n == 0:
            return None
        if size is not None and size.shape[0] != n or kind is not None and kind.shape[0] != n:
            raise ValueError("address, size and kind differ in length")
        with nogil:
            got = add_run(&self.t, &address[0], &size[0] if size is not None else NULL, &kind[0] if kind is not None else NULL,
                          kind0, n, self.page_shift, self.limit)
        if got == NO_MEMORY:
            raise MemoryError(f"no memory for the set of touched pages ({self.t.used} so far)")
        return None if got == NOTHING else got

    def pages(self):
        """(page numbers uint64[k], ascending; kinds uint8[k]: bit per kind of access, 1 read, 2 write, 4 exec)."""
        cdef uint64_t i
        cdef uint64_t at = 0
        out = np.empty(self.t.used, np.uint64)
        how = np.empty(self.t.used, np.uint8)
        cdef uint64_t[::1] key = out
        cdef uint8_t[::1] kinds = how
        for i in range(self.t.mask + 1):
            if self.t.key[i]:
                key[at] = self.t.key[i] - 1
                kinds[at] = self.t.kinds[i]
                at += 1
        order = np.argsort(out)
        return out[order], how[order]


def next_use_of(const uint32_t[::1] page, uint64_t pages):
    """uint64[n]: for each position of a page trace the next position of the same page; n where there is none.

    page: uint32[n], numbers below `pages`. Raises ValueError for a number beyond.
    """
    cdef int64_t i, n = page.shape[0]
    out = np.empty(n, np.uint64)
    seen_at = np.full(pages, n, np.uint64)
    cdef uint64_t[::1] use = out
    cdef uint64_t[::1] last = seen_at
    cdef bint wrong = False
    with nogil:
        for i in range(n - 1, -1, -1):
            if page[i] >= pages:
                wrong = True
                break
            use[i] = last[page[i]]
            last[page[i]] = <uint64_t>i
    if wrong:
        raise ValueError("page: a number beyond the pages that there are")
    return out
