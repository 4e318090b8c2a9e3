# SPDX-License-Identifier: GPL-2.0-only
# Models: the page-table walk of a CPU and of the kernel, and a host-side cache of leaf tables that neither can see.
# Kernel functions: pgd_offset .. pte_offset_map; on the hardware's side the SDM's and the manual's DAT walk.
# Differs: protections are taken from the leaf alone (the kernel's table entries allow everything).
cdef enum:
    ENOMEM = 12
    EINVAL = 22

cdef inline int levels_of(const pt_format* f, addr_space* s) noexcept nogil:
    return f.levels if f.levels == f.max_levels else s.levels

cdef inline uint64_t index_of(const pt_format* f, uint64_t va, int level) noexcept nogil:
    return (va >> f.level[level].shift) & ((<uint64_t>1 << f.level[level].index_bits) - 1)

cdef inline uint64_t* entry_of(const pt_format* f, hw_t* h, uint64_t table_pa, uint64_t va, int level) noexcept nogil:
    return <uint64_t*>(h.base + table_pa) + index_of(f, va, level)

cdef inline bint is_huge(const pt_format* f, uint64_t e, int level) noexcept nogil:
    return f.level[level].huge.mask[0] != 0 and pt_matches(&f.level[level].huge, e)

# Descends from a top table of `levels` to the entry of level `bottom`, or stops above it at an entry that is no table;
# level[0] says where it is. `mark`: as the hardware does, set the accessed bit of every table entry passed.
cdef inline uint64_t* descend_from(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int levels, int bottom, bint mark,
                                   int* level) noexcept nogil:
    cdef uint64_t table_pa = s.root
    cdef uint64_t* e
    cdef int i
    for i in range(levels - 1, bottom, -1):
        e = entry_of(f, h, table_pa, va, i)
        if rm_unlikely(not pt_matches(&f.level[i].table, e[0])):
            level[0] = i
            return e
        if mark and f.table_young != 0 and (e[0] & f.table_young) != f.table_young:
            e[0] |= f.table_young
        table_pa = e[0] & f.level[i].table_pa_mask
    level[0] = bottom
    return entry_of(f, h, table_pa, va, bottom)

# Most address spaces have not grown: with a constant number of levels the compiler unrolls the walk.
cdef inline uint64_t* descend(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int bottom, bint mark,
                              int* level) noexcept nogil:
    if rm_likely(levels_of(f, s) == f.levels):
        return descend_from(f, h, s, va, f.levels, bottom, mark, level)
    return descend_from(f, h, s, va, s.levels, bottom, mark, level)

# Entries that a walk has read when it stopped at `level`.
cdef inline int levels_read(const pt_format* f, addr_space* s, int level) noexcept nogil:
    return levels_of(f, s) - level

# The leaf entry of the address if its table is in the leaf cache, else NULL.
cdef inline uint64_t* known_entry(const pt_format* f, const leaf_cache* pde, uint64_t va) noexcept nogil:
    cdef uint64_t key = va >> f.level[1].shift
    cdef const leaf_cache* c = &pde[key & (PDE_SLOTS - 1)]
    return c.leaf + index_of(f, va, 0) if rm_likely(c.key == key) else NULL

# The kernel's walk, not counted: the leaf entry, or NULL where there is no leaf table. Reads no more than it must.
cdef inline uint64_t* leaf_of(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int* level) noexcept nogil:
    cdef uint64_t key = va >> f.level[1].shift
    cdef uint64_t* p
    if s.pde != NULL and s.pde[key & (PDE_SLOTS - 1)].key == key:
        level[0] = 0
        return s.pde[key & (PDE_SLOTS - 1)].leaf + index_of(f, va, 0)
    if rm_unlikely(va >= s.asce_limit):
        level[0] = levels_of(f, s)
        return NULL
    p = descend(f, h, s, va, 0, False, level)
    if level[0] != 0:
        return NULL
    # the kernel makes table entries accessed already, so that the hardware's walk would have nothing to set
    if s.pde != NULL and (f.level[1].table_bits & f.table_young) == f.table_young:
        s.pde[key & (PDE_SLOTS - 1)].key = key
        s.pde[key & (PDE_SLOTS - 1)].leaf = p - index_of(f, va, 0)
    return p

# The host cache that has the leaf table, that of a VMA (c) first and filled from the other; NULL: none of them has.
cdef inline const leaf_cache* known_leaf(const pt_format* f, addr_space* s, uint64_t va, leaf_cache* c) noexcept nogil:
    cdef uint64_t key = va >> f.level[1].shift
    cdef const leaf_cache* slot
    if c != NULL and c.key == key:
        return c
    slot = &s.pde[key & (PDE_SLOTS - 1)]
    if rm_unlikely(s.pde == NULL or slot.key != key):
        return NULL
    if c != NULL:
        c[0] = slot[0]
    return slot

# The same, counted, and first through the cache of a VMA where there is one.
cdef inline uint64_t* kernel_walk(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, leaf_cache* c) noexcept nogil:
    cdef const leaf_cache* known = known_leaf(f, s, va, c)
    if rm_unlikely(known == NULL):
        # through the pointer: never inlined, so that the common case needs no registers saved
        return h.ops.walk_tables(h, s, va, c)
    h.cost.table_levels += levels_of(f, s)
    return known.leaf + index_of(f, va, 0)

cdef uint64_t* walk_tables(hw_t* h, addr_space* s, uint64_t va, leaf_cache* c) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int level
    cdef uint64_t* p = leaf_of(f, h, s, va, &level)
    h.cost.table_levels += levels_read(f, s, level)
    if c != NULL and p != NULL:
        c.key = va >> f.level[1].shift
        c.leaf = p - index_of(f, va, 0)
    return p

# The leaf table below this address is gone: no cache of the address space may know it.
cdef inline void forget_leaf(const pt_format* f, addr_space* s, uint64_t va) noexcept nogil:
    cdef uint64_t key = va >> f.level[1].shift
    if s.pde != NULL and s.pde[key & (PDE_SLOTS - 1)].key == key:
        s.pde[key & (PDE_SLOTS - 1)].key = ~<uint64_t>0
