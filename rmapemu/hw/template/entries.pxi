# SPDX-License-Identifier: GPL-2.0-only
# Models: what the kernel does to one leaf entry.
# Kernel functions: page_check_address, ptep_clear_flush, ptep_clear_flush_young, set_pte_at, update_mmu_cache.
# Differs: locks are taken, and told of, by mm/.
cdef inline uint64_t* check(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c,
                            int* seen) noexcept nogil:
    cdef uint64_t* p = kernel_walk(f, h, s, va, c)
    if p == NULL:
        seen[0] = SEEN_NO_TABLE
        return NULL
    h.cost.ptes_examined += 1
    if not pte_present(f, p[0]):
        seen[0] = SEEN_NOT_PRESENT
        return NULL
    if pte_pfn(f, p[0]) != pfn:
        seen[0] = SEEN_OTHER
        return NULL
    h.cost.ptes_matched += 1
    seen[0] = SEEN_MATCH
    return p

# A CPU without accessed bits in its entries finds nothing to clear, and nothing to flush.
cdef inline int clear_young(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, uint64_t* p, uint64_t e) noexcept nogil:
    if f.young == 0 or rm_likely((e & f.young) == 0):
        return 0
    p[0] = pte_mkold(f, e)
    h.cost.young_cleared += 1
    h.cost.ptes_written += 1
    drop_page_counted(f, h, s, va)
    return 1

cdef uint64_t* find_pte(hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    return kernel_walk(FMT(h), h, s, va, NULL)

cdef uint64_t* find_pmd(hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int level
    cdef uint64_t* p
    if va >= s.asce_limit:
        return NULL
    p = descend(f, h, s, va, 1, False, &level)
    h.cost.table_levels += levels_read(f, s, level)
    return p if level == 1 else NULL

cdef uint64_t* check_address(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c, int* seen) noexcept nogil:
    return check(FMT(h), h, s, va, pfn, c, seen)

cdef inline int referenced_at(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, uint64_t* p) noexcept nogil:
    cdef uint64_t e = p[0]
    if rm_likely(pte_present(f, e) and pte_pfn(f, e) == pfn):
        h.cost.plain_hits += 1
        return clear_young(f, h, s, va, p, e)
    h.cost.ptes_examined += 1
    return -2 if pte_present(f, e) else -1

cdef int referenced(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef const leaf_cache* known = known_leaf(f, s, va, c)
    if rm_unlikely(known == NULL):
        return h.ops.referenced_walk(h, s, va, pfn, c)
    h.cost.table_levels += levels_of(f, s)
    return referenced_at(f, h, s, va, pfn, known.leaf + index_of(f, va, 0))

cdef int referenced_walk(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c) noexcept nogil:
    cdef uint64_t* p = walk_tables(h, s, va, c)
    return -1 if p == NULL else referenced_at(FMT(h), h, s, va, pfn, p)

# Do all entries map their pages, in the first of the ways to be present? *seen: what they have of bits, taken together.
cdef inline bint all_map(const pt_format* f, uint64_t** pte, const uint32_t* pfn, int n, uint64_t* seen) noexcept nogil:
    cdef uint64_t e, bits = 0
    cdef int i
    for i in range(n):
        if rm_unlikely(pte[i] == NULL):
            return False
        e = pte[i][0]
        if rm_unlikely(e & (f.pa_mask | f.present.mask[0]) != <uint64_t>pfn[i] << f.page_shift | f.present.value[0]):
            return False
        bits |= e
    seen[0] = bits
    return True

# Which are young cannot be predicted: they are listed without a branch, and cleared afterwards.
cdef int referenced_batch(hw_t* h, addr_space* s, uint64_t** pte, const uint64_t* vpn, const uint32_t* pfn, int n,
                          uint8_t* young) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t e, seen
    cdef uint8_t at[BATCH_MAX]
    cdef uint8_t found
    cdef int i, tables = n, absent = 0, other = 0, cleared = 0
    memset(young, 0, n)
    if all_map(f, pte, pfn, n, &seen):
        if seen & f.young:
            for i in range(n):
                found = (pte[i][0] & f.young) != 0
                young[i] = found
                at[cleared] = <uint8_t>i
                cleared += found
    else:
        for i in range(n):
            if pte[i] == NULL:
                tables -= 1
                continue
            e = pte[i][0]
            if not pte_present(f, e):
                absent += 1
            elif pte_pfn(f, e) != pfn[i]:
                other += 1
            elif e & f.young:
                young[i] = 1
                at[cleared] = <uint8_t>i
                cleared += 1
    for i in range(cleared):
        clear_young(f, h, s, vpn[at[i]] << f.page_shift, pte[at[i]], pte[at[i]][0])
    h.cost.ptes_examined += tables
    h.cost.ptes_matched += tables - absent - other
    return tables - absent

cdef int swap_out_old(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, uint64_t entry, uint64_t* old) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int seen
    cdef uint64_t* p = check(f, h, s, va, pfn, NULL, &seen)
    if p == NULL:
        return -2 if seen == SEEN_OTHER else -1
    if clear_young(f, h, s, va, p, p[0]):
        return 1
    old[0] = p[0]
    p[0] = swp_entry_to_pte(f, entry)
    h.cost.ptes_written += 2
    drop_page_counted(f, h, s, va)
    return 0

cdef void set_pte(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte, uint64_t e) noexcept nogil:
    pte[0] = e
    h.cost.ptes_written += 1

cdef uint64_t clear_flush(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t old = pte[0]
    pte[0] = f.clear_value
    h.cost.ptes_written += 1
    drop_page_counted(f, h, s, va)
    return old

cdef int clear_flush_young(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte) noexcept nogil:
    return clear_young(FMT(h), h, s, va, pte, pte[0])

cdef void update_mmu(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte, int kind) noexcept nogil:
    pass                        # the hardware walks for itself when the instruction is started again
