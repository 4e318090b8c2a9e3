# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Accesses into touches of single pages, in order.

Models what the hardware does with an access that crosses a page boundary: one translation for each page.
Cost: one pass that counts (1 ns an access), and a second one only where something crosses.
"""

import numpy as np

from libc.stdint cimport uint8_t, uint32_t, uint64_t


def count_extra(const uint64_t[::1] address, const uint32_t[::1] size, int page_shift):
    """Touches beyond one per access; -1 if an access wraps around 2**64. A size of 0 touches one page."""
    cdef Py_ssize_t i, n = address.shape[0]
    cdef uint64_t first, last, extra = 0, wraps = 0
    if size.shape[0] != n:
        raise ValueError(f"{n} addresses and {size.shape[0]} sizes")
    with nogil:
        for i in range(n):
            first = address[i]
            last = first + size[i] - (size[i] != 0)
            wraps |= last < first
            extra += (last >> page_shift) - (first >> page_shift)
    return -1 if wraps else extra


def split(const uint64_t[::1] address, const uint32_t[::1] size, const uint8_t[::1] kind,
          int page_shift, Py_ssize_t total):
    """(va uint64[total], kind uint8[total], index int64[total]): each touch, and the access that it belongs to.

    The first touch has the access's address, the others their page's first byte. `total`: accesses + count_extra().
    """
    cdef Py_ssize_t i, at = 0, n = address.shape[0]
    cdef uint64_t page, last
    va_array = np.empty(total, np.uint64)
    kind_array = np.empty(total, np.uint8)
    index_array = np.empty(total, np.int64)
    cdef uint64_t[::1] va = va_array
    cdef uint8_t[::1] kinds = kind_array
    cdef long long[::1] index = index_array
    if size.shape[0] != n or kind.shape[0] != n:
        raise ValueError(f"{n} addresses, {size.shape[0]} sizes, {kind.shape[0]} kinds")
    with nogil:
        for i in range(n):
            page = address[i] >> page_shift
            last = (address[i] + size[i] - (size[i] != 0)) >> page_shift
            if last - page >= <uint64_t>(total - at):
                break
            va[at] = address[i]
            kinds[at] = kind[i]
            index[at] = i
            at += 1
            while page < last:
                page += 1
                va[at] = page << page_shift
                kinds[at] = kind[i]
                index[at] = i
                at += 1
    if at != total:
        raise ValueError(f"{total} touches expected, {at} found")
    return va_array, kind_array, index_array
