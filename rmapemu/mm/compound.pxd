# SPDX-License-Identifier: GPL-2.0-only
# Compound pages: a head and its tails, as THP and hugetlb use them. Kernel: include/linux/mm.h, page-flags.h, PageHuge of
# mm/hugetlb.c. A tail's private is its head's frame number; the order stands in the first tail, as in v3.2.
from libc.stdint cimport int64_t, uint32_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.lock cimport VM_BUG_ON
from rmapemu.mm.types cimport *

cdef inline uint32_t compound_order(machine* m, uint32_t pfn) noexcept nogil:
    """lg2 of its frames; 0 for any page that is no head."""
    if m.pages[pfn].flags & PG_head and m.pages[pfn + 1].flags & PG_tail and m.pages[pfn + 1].compound_order < MAX_ORDER:
        return m.pages[pfn + 1].compound_order
    return 0

cdef inline int64_t hpage_nr_pages(machine* m, uint32_t pfn) noexcept nogil:
    """What a page counts on a list: with THP a huge one all its frames."""
    if rm_unlikely(m.pages[pfn].flags & PG_head) and m.config.transparent_hugepage:
        return <int64_t>1 << compound_order(m, pfn)
    return 1

cdef inline void prep_compound_page(machine* m, uint32_t pfn, uint32_t order, uint32_t flags) noexcept nogil:
    """flags: PG_huge for hugetlb, which has a destructor of its own there."""
    cdef uint32_t i
    m.pages[pfn].flags |= PG_head | flags
    for i in range(1, <uint32_t>1 << order):
        m.pages[pfn + i].flags |= PG_tail | flags
        m.pages[pfn + i].private = pfn
    m.pages[pfn + 1].compound_order = order

cdef inline uint32_t destroy_compound_page(machine* m, uint32_t pfn) noexcept nogil:
    """Before it is freed: its frames are single again. Returns its order."""
    cdef uint32_t i, order = compound_order(m, pfn)
    for i in range(1, <uint32_t>1 << order):
        m.pages[pfn + i].flags = 0
        m.pages[pfn + i].compound_order = 0
        m.pages[pfn + i].private = 0
    return order

cdef inline bint PageHuge(machine* m, uint32_t pfn) noexcept nogil:
    """A page of hugetlb, head or tail."""
    return m.pages[pfn].flags & PG_huge and m.config.hugetlb_page

cdef inline bint PageTransHuge(machine* m, uint32_t pfn) noexcept nogil:
    """Any head page, hugetlb's too. Not to be asked of a tail."""
    if not m.config.transparent_hugepage:
        return False
    VM_BUG_ON(m, rm_unlikely(m.pages[pfn].flags & PG_tail), b"PageTail(page)", b"PageTransHuge")
    return m.pages[pfn].flags & PG_head
