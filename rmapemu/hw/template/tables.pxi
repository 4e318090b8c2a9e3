# SPDX-License-Identifier: GPL-2.0-only
# Models: making and freeing page tables in frames of the machine.
# Kernel functions: pgd_alloc, __pte_alloc .. __pud_alloc, free_pgd_range, s390's crst_table_upgrade.
# Differs: tables are freed at once, not gathered for a TLB flush; what the TLB knew of their span is dropped with them.
cdef uint64_t alloc_table(const pt_format* f, hw_t* h, addr_space* s, int level) noexcept nogil:
    cdef uint64_t pa, i, n = f.level[level].table_bytes >> 3
    if level == 0 and f.level[0].tables_per_frame == 2:
        pa = alloc_half(f, h, s)
    else:
        pa = h.alloc_table(h.ctx, f.level[level].table_order)
    if pa == 0:
        return 0
    for i in range(n):
        words_at(h, pa)[i] = f.level[level].empty
    s.nr_ptes += level == 0
    return pa

cdef void free_table(const pt_format* f, hw_t* h, addr_space* s, uint64_t pa, int level) noexcept nogil:
    if level == 0 and f.level[0].tables_per_frame == 2:
        free_half(f, h, s, pa)
    else:
        h.free_table(h.ctx, pa, f.level[level].table_order)
    s.nr_ptes -= level == 0

cdef inline uint64_t span_of(const pt_format* f, int levels) noexcept nogil:
    cdef int bits = f.level[levels - 1].shift + f.level[levels - 1].index_bits
    return <uint64_t>1 << (bits if bits < f.user_bits else f.user_bits)

cdef int init_mm(hw_t* h, addr_space* s) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    memset(s, 0, sizeof(addr_space))
    s.levels = f.levels
    s.root = alloc_table(f, h, s, f.levels - 1)
    if s.root == 0:
        return -ENOMEM
    s.asce_limit = span_of(f, f.levels)
    return 0

cdef void exit_mm(hw_t* h, addr_space* s) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    free_caches(h, s)
    if s.root != 0:
        free_table(f, h, s, s.root, levels_of(f, s) - 1)
    s.root = 0
    s.asce_limit = 0

cdef int grow_mm(hw_t* h, addr_space* s, uint64_t end) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t pa
    if end > span_of(f, f.max_levels):
        return -EINVAL
    while end > s.asce_limit:
        pa = alloc_table(f, h, s, s.levels)
        if pa == 0:
            return -ENOMEM
        words_at(h, pa)[0] = s.root | f.level[s.levels].table_bits
        s.root = pa
        s.levels += 1
        s.asce_limit = span_of(f, s.levels)
    return 0

# The entry of level `bottom`, with the tables above it made where they are missing; NULL: -ENOMEM.
cdef uint64_t* make_entry(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int bottom) noexcept nogil:
    cdef uint64_t pa = s.root
    cdef uint64_t* e
    cdef int i
    if va >= s.asce_limit:
        return NULL
    for i in range(levels_of(f, s) - 1, bottom, -1):
        e = entry_of(f, h, pa, va, i)
        h.cost.table_levels += 1
        if not pt_matches(&f.level[i].table, e[0]):
            if e[0] != f.level[i].empty:
                return NULL
            pa = alloc_table(f, h, s, i - 1)
            if pa == 0:
                return NULL
            e[0] = pa | f.level[i].table_bits
        pa = e[0] & f.level[i].table_pa_mask
    h.cost.table_levels += 1
    return entry_of(f, h, pa, va, bottom)

cdef inline uint64_t* make_leaf(const pt_format* f, hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    cdef uint64_t key = va >> f.level[1].shift
    if s.pde != NULL and s.pde[key & (PDE_SLOTS - 1)].key == key:
        h.cost.table_levels += levels_of(f, s)
        return s.pde[key & (PDE_SLOTS - 1)].leaf + index_of(f, va, 0)
    return make_entry(f, h, s, va, 0)

cdef uint64_t* make_pte(hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    return make_leaf(FMT(h), h, s, va)

cdef uint64_t* make_pmd(hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    return make_entry(FMT(h), h, s, va, 1)

# Tables of d above the leaf level, as far down as s has them on the way to va: 0, -ENOMEM.
cdef int copy_upper(hw_t* h, addr_space* d, addr_space* s, uint64_t va) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int level
    if va >= s.asce_limit:
        return 0
    descend(f, h, s, va, 1, False, &level)
    return 0 if make_entry(f, h, d, va, level) != NULL else -ENOMEM

# Frees the tables below the entries [va, end) of one table of `level`, and of each what lies wholly in [floor, ceiling):
# what lies between the neighbouring VMAs. A ceiling of 0 is the end of the address space.
cdef void free_below(const pt_format* f, hw_t* h, addr_space* s, uint64_t table_pa, int level, uint64_t va, uint64_t end,
                     uint64_t floor, uint64_t ceiling) noexcept nogil:
    cdef uint64_t span = <uint64_t>1 << f.level[level].shift
    cdef uint64_t first = va & ~(span - 1)
    cdef uint64_t child
    cdef uint64_t* e
    while va < end:
        first = va & ~(span - 1)
        e = entry_of(f, h, table_pa, va, level)
        if pt_matches(&f.level[level].table, e[0]):
            child = e[0] & f.level[level].table_pa_mask
            if level > 1:
                free_below(f, h, s, child, level - 1, va, min(end, first + span), floor, ceiling)
            if first >= floor and first + span - 1 <= ceiling - 1:
                e[0] = f.level[level].empty
                if level == 1:
                    forget_leaf(f, s, va)
                    tlb_drop_span(f, s, first >> f.page_shift, (first + span - 1) >> f.page_shift)
                free_table(f, h, s, child, level - 1)
        va = first + span

cdef void free_pgd_range(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t floor, uint64_t ceiling) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    if end > s.asce_limit:
        end = s.asce_limit
    if va < end:
        free_below(f, h, s, s.root, levels_of(f, s) - 1, va, end, floor, ceiling)
