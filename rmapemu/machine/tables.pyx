# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Walking page tables as data. Kernel: mm/pagewalk.c. Differs: no VMAs, no locks, no costs; the format says all.
from libc.stdint cimport uint64_t
from rmapemu.hw.format cimport pt_format, pt_level
from rmapemu.hw.pte cimport pt_matches, pte_none, pte_present
from rmapemu.mm.types cimport *


cdef int leaf_table(machine* m, mm_struct* mm, uint64_t pa, uint64_t base, entry_visitor visit, void* ctx) noexcept nogil:
    cdef const pt_format* f = m.hw.fmt
    cdef const uint64_t* t = <const uint64_t*>(m.hw.base + pa)
    cdef uint64_t i, n = <uint64_t>1 << f.level[0].index_bits
    cdef int r
    for i in range(n):
        if not pte_none(f, t[i]):
            r = visit(ctx, m, mm, base + (i << f.level[0].shift), 0, t[i])
            if r != 0:
                return r
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
    cdef uint64_t i
    cdef int r = table(ctx, m, mm, base, level, pa) if table != NULL else 0
    if r != 0:
        return r
    if level == 0:
        return leaf_table(m, mm, pa, base, visit, ctx) if visit != NULL else 0
    for i in range(<uint64_t>1 << lv.index_bits):
        if t[i] != lv.empty:
            r = one_entry(m, mm, level, t[i], base + (i << lv.shift), visit, table, ctx)
            if r != 0:
                return r
    return 0


cdef int walk_tables(machine* m, mm_struct* mm, entry_visitor visit, table_visitor table, void* ctx) noexcept nogil:
    if mm.hw.root == 0:
        return 0
    return one_table(m, mm, mm.hw.levels - 1, mm.hw.root, 0, visit, table, ctx)
