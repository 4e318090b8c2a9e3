# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Walking page tables as data. Kernel: mm/pagewalk.c. Differs: no VMAs, no locks, no costs; the format says all.
from libc.stdint cimport uint64_t
from rmapemu.hw.format cimport pt_format, pt_level
from rmapemu.hw.pte cimport pt_matches, pte_none, pte_present
from rmapemu.mm.types cimport *


cdef inline uint64_t used_from(const uint64_t* t, uint64_t i, uint64_t n, uint64_t empty) noexcept nogil:
    """The first entry from i on that is not empty, or n: most are, and are passed over by eights."""
    while i + 8 <= n and ((t[i] ^ empty) | (t[i + 1] ^ empty) | (t[i + 2] ^ empty) | (t[i + 3] ^ empty) | (t[i + 4] ^ empty)
                          | (t[i + 5] ^ empty) | (t[i + 6] ^ empty) | (t[i + 7] ^ empty)) == 0:
        i += 8
    while i < n and t[i] == empty:
        i += 1
    return i


cdef int leaf_table(machine* m, mm_struct* mm, uint64_t pa, uint64_t base, entry_visitor visit, void* ctx) noexcept nogil:
    cdef const pt_format* f = m.hw.fmt
    cdef const uint64_t* t = <const uint64_t*>(m.hw.base + pa)
    cdef uint64_t n = <uint64_t>1 << f.level[0].index_bits, i = used_from(t, 0, n, f.clear_value)
    cdef int r
    while i < n:
        if not pte_none(f, t[i]):
            r = visit(ctx, m, mm, base + (i << f.level[0].shift), 0, t[i])
            if r != 0:
                return r
        i = used_from(t, i + 1, n, f.clear_value)
    return 0


cdef int one_entry(machine* m, mm_struct* mm, int level, uint64_t e, uint64_t va, entry_visitor visit, table_visitor table,
        void* ctx) noexcept nogil:
    cdef const pt_level* lv = &m.hw.fmt.level[level]
    cdef uint64_t pa
    if lv.huge.mask[0] != 0 and pt_matches(&lv.huge, e):
        return visit(ctx, m, mm, va, level, e) if visit != NULL else 0
    if level == 1 and not pte_present(m.hw.fmt, e) and not pt_matches(&lv.table, e):
        # a hugetlb page gave way to a migration or hwpoison entry
        return visit(ctx, m, mm, va, level, e) if visit != NULL else 0
    pa = e & lv.table_pa_mask
    if not pt_matches(&lv.table, e) or pa >> m.page_shift >= m.nr_frames or not m.pages[pa >> m.page_shift].flags & PG_table:
        return BAD_TABLE_ENTRY
    return one_table(m, mm, level - 1, pa, va, visit, table, ctx)


cdef int one_table(machine* m, mm_struct* mm, int level, uint64_t pa, uint64_t base, entry_visitor visit, table_visitor table,
        void* ctx) noexcept nogil:
    cdef const pt_level* lv = &m.hw.fmt.level[level]
    cdef const uint64_t* t = <const uint64_t*>(m.hw.base + pa)
    cdef uint64_t i, n = <uint64_t>1 << lv.index_bits
    cdef int r = table(ctx, m, mm, base, level, pa) if table != NULL else 0
    if r != 0:
        return r
    if level == 0:
        return leaf_table(m, mm, pa, base, visit, ctx) if visit != NULL else 0
    i = used_from(t, 0, n, lv.empty)
    while i < n:
        r = one_entry(m, mm, level, t[i], base + (i << lv.shift), visit, table, ctx)
        if r != 0:
            return r
        i = used_from(t, i + 1, n, lv.empty)
    return 0


cdef int walk_tables(machine* m, mm_struct* mm, entry_visitor visit, table_visitor table, void* ctx) noexcept nogil:
    if mm.hw.root == 0:
        return 0
    return one_table(m, mm, mm.hw.levels - 1, mm.hw.root, 0, visit, table, ctx)
