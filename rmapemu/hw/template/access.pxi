# SPDX-License-Identifier: GPL-2.0-only
# Models: the CPU's side: load, store and fetch through the TLB; a miss walks and leaves accessed and dirty as the manual says.
# Kernel functions: none; `fault` is do_page_fault. Hits count nothing: they are accesses less tlb_misses.
# Differs: permissions of the leaf only; a stale TLB entry that forbids is walked again instead of faulting spuriously.
cdef enum:
    TRACE_BUFFER = 256          # frames told at once to touched()
    AHEAD_ENTRY = 24            # accesses ahead: fetch the leaf entry
    AHEAD_FRAME = 8             # accesses ahead: fetch what it points at (storage key or swap count)

cdef struct tracer:
    touched_t touched
    void* ctx
    int64_t n
    uint32_t pfn[256]

cdef inline void trace_flush(tracer* t) noexcept nogil:
    if t.n > 0:
        t.touched(t.ctx, t.pfn, t.n)
        t.n = 0

cdef inline void key_touch(const pt_format* f, uint8_t* key, int kind) noexcept nogil:
    cdef uint8_t bits = f.key_referenced | f.key_changed if kind & ACCESS_WRITE else f.key_referenced
    if rm_unlikely((key[0] & bits) != bits):
        key[0] |= bits

# Loads a translation into the TLB, or -1 if its entry does not allow the access. Sets young, dirty, R and C.
# By arithmetic where branches would be natural: whether a miss is of a store, and what the page has seen, cannot be predicted.
cdef inline int tlb_fill(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int kind, uint64_t* p, uint32_t pfn) noexcept nogil:
    cdef uint64_t e = p[0]
    cdef int store = rm_hidden(pte_write(f, e))
    if f.user.mask[0] != 0 and rm_unlikely(not pt_matches(&f.user, e)):
        return -1
    if rm_unlikely((kind & ACCESS_WRITE) > store or (f.has_nx and kind & ACCESS_EXEC and pt_matches(&f.noexec, e))):
        return -1
    if f.young | f.dirty:
        e |= f.young | f.dirty * (kind & ACCESS_WRITE)
        p[0] = e
    store &= (e & f.dirty) == f.dirty
    if f.key_referenced and h.skey != NULL:
        key_touch(f, h.skey + pfn, kind)
        store &= h.key_exact | (kind & ACCESS_WRITE)
    if f.has_nx and not pt_matches(&f.noexec, e):
        pfn |= TLB_EXEC
    return tlb_put(f, s, va >> f.page_shift, store, pfn)

cdef inline int load_leaf(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int kind, uint64_t* p) noexcept nogil:
    return tlb_fill(f, h, s, va, kind, p, pte_pfn(f, p[0])) if pt_matches(&f.valid, p[0]) else -1

# An access that the TLB does not serve: walk, through the leaf cache if it can, and load. -1: nothing that allows the access.
# pte[0]: the leaf entry, NULL where the walk ended elsewhere.
# The cache never hides a missing accessed bit: what is in it was entered by a walk that set them all.
cdef inline int load(const pt_format* f, hw_t* h, addr_space* s, uint64_t va, int kind, uint64_t** pte) noexcept nogil:
    pte[0] = known_entry(f, s.pde, va)
    if rm_unlikely(pte[0] == NULL):
        # through the pointer: never inlined, so that the common case computes no table's index
        return h.ops.hw_load(h, s, va, kind, pte)
    h.cost.table_levels += levels_of(f, s)
    return load_leaf(f, h, s, va, kind, pte[0])

cdef int hw_load(hw_t* h, addr_space* s, uint64_t va, int kind, uint64_t** pte) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef leaf_cache* c = &s.pde[(va >> f.level[1].shift) & (PDE_SLOTS - 1)]
    cdef int level
    cdef uint64_t* p
    pte[0] = NULL
    if rm_unlikely(va >= s.asce_limit):
        return -1
    p = descend(f, h, s, va, 0, True, &level)
    h.cost.table_levels += levels_read(f, s, level)
    if level == 0:
        c.key = va >> f.level[1].shift
        c.leaf = p - index_of(f, va, 0)
        pte[0] = p
        return load_leaf(f, h, s, va, kind, p)
    if not is_huge(f, p[0], level):
        return -1
    return tlb_fill(f, h, s, va, kind, p, <uint32_t>((p[0] & f.level[level].huge_pa_mask
                                                     | va & ((<uint64_t>1 << f.level[level].shift) - 1)) >> f.page_shift))

cdef struct fault_to:           # where faults go: in one argument, or each miss would pass them all on the stack
    fault_t fault
    void* ctx
    int* err
    tracer* t

# Fault, and walk again, until the access may be. -1: fault's refusal is in to.err[0].
cdef int fault_in(hw_t* h, addr_space* s, uint64_t va, int kind, const fault_to* to, uint64_t* pte) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int i
    while True:
        if to.t != NULL:
            trace_flush(to.t)
        to.err[0] = to.fault(to.ctx, s, va, kind, pte)
        if to.err[0] != 0:
            return -1
        i = load(f, h, s, va, kind, &pte)
        if i >= 0:
            return i

# Both, for loops whose misses are rare.
cdef int miss(hw_t* h, addr_space* s, uint64_t va, int kind, const fault_to* to) noexcept nogil:
    cdef uint64_t* pte
    cdef int i = load(FMT(h), h, s, va, kind, &pte)
    return i if i >= 0 else fault_in(h, s, va, kind, to, pte)

cdef inline int64_t finish(hw_t* h, int64_t i, int64_t n, int64_t misses) noexcept nogil:
    h.cost.accesses += i + (i < n)
    h.cost.tlb_misses += misses
    return i

cdef inline uint8_t* exact_keys(const pt_format* f, hw_t* h) noexcept nogil:
    return h.skey if f.key_referenced and h.key_exact else NULL

# What the TLB holds is kept in locals: the stores to keys below would make the compiler load it again and again.
cdef int64_t access(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                    fault_t fault, void* ctx, int* err) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int64_t i = 0, misses = 0
    cdef int t, k = kind0
    cdef fault_to to = fault_to(fault, ctx, err, NULL)
    err[0] = 0
    if rm_unlikely(s.tlb == NULL):
        err[0] = alloc_caches(f, h, s)
        if err[0] != 0:
            return 0
    cdef const tlb_entry* tlb = s.tlb
    cdef const uint32_t* pfn = s.tlb_pfn
    cdef uint8_t* skey = exact_keys(f, h)
    while i < n:
        if kind != NULL:
            k = kind[i]
        t = tlb_find(f, tlb, pfn, va[i] >> f.page_shift, k)
        if rm_unlikely(t < 0):
            misses += 1
            t = miss(h, s, va[i], k, &to)
            if t < 0:
                break
        if f.key_referenced and skey != NULL:
            key_touch(f, skey + (pfn[t] & ~<uint32_t>TLB_EXEC), k)
        i += 1
    return finish(h, i, n, misses)

cdef inline void fetch_frame(const pt_format* f, hw_t* h, const uint64_t* p, const uint8_t* slots) noexcept nogil:
    # one fetch without a mispredicted branch: the key of a present page, or the count of the swap slot
    if rm_likely(p != NULL):
        if f.key_referenced and pt_matches(&f.valid, p[0]):
            rm_prefetch(h.skey + pte_pfn(f, p[0]))
        else:
            rm_prefetch(slots + <uint32_t>pt_get(&f.swap_offset, p[0]))

cdef int64_t access_ahead(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                          fault_t fault, void* ctx, int* err, const uint8_t* slots) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int64_t i = 0, misses = 0
    cdef int t, k = kind0
    cdef uint64_t* pte
    cdef fault_to to = fault_to(fault, ctx, err, NULL)
    err[0] = 0
    if rm_unlikely(s.tlb == NULL):
        err[0] = alloc_caches(f, h, s)
        if err[0] != 0:
            return 0
    cdef const tlb_entry* tlb = s.tlb
    cdef const uint32_t* pfn = s.tlb_pfn
    cdef const leaf_cache* pde = s.pde
    cdef uint8_t* skey = exact_keys(f, h)
    while i < n:
        if i + AHEAD_ENTRY < n:
            rm_prefetch(known_entry(f, pde, va[i + AHEAD_ENTRY]))
            fetch_frame(f, h, known_entry(f, pde, va[i + AHEAD_FRAME]), slots)
        if kind != NULL:
            k = kind[i]
        t = tlb_find(f, tlb, pfn, va[i] >> f.page_shift, k)
        if t < 0:
            misses += 1
            t = load(f, h, s, va[i], k, &pte)
            if t < 0:
                t = fault_in(h, s, va[i], k, &to, pte)
                if t < 0:
                    break
        if f.key_referenced and skey != NULL:
            key_touch(f, skey + (pfn[t] & ~<uint32_t>TLB_EXEC), k)
        i += 1
    return finish(h, i, n, misses)

cdef int64_t access_traced(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                           fault_t fault, void* ctx, int* err, touched_t touched) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef int64_t i = 0, misses = 0
    cdef int t, k = kind0
    cdef tracer trace
    cdef fault_to to = fault_to(fault, ctx, err, &trace)
    cdef uint32_t frame
    err[0] = 0
    if rm_unlikely(s.tlb == NULL):
        err[0] = alloc_caches(f, h, s)
        if err[0] != 0:
            return 0
    cdef uint8_t* skey = exact_keys(f, h)
    trace.touched = touched
    trace.ctx = ctx
    trace.n = 0
    while i < n:
        if kind != NULL:
            k = kind[i]
        t = tlb_find(f, s.tlb, s.tlb_pfn, va[i] >> f.page_shift, k)
        if rm_unlikely(t < 0):
            misses += 1
            t = miss(h, s, va[i], k, &to)
            if t < 0:
                break
        frame = s.tlb_pfn[t] & ~<uint32_t>TLB_EXEC
        if f.key_referenced and skey != NULL:
            key_touch(f, skey + frame, k)
        trace.pfn[trace.n] = frame
        trace.n += 1
        if trace.n == TRACE_BUFFER:
            trace_flush(&trace)
        i += 1
    trace_flush(&trace)
    return finish(h, i, n, misses)
