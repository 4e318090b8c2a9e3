# SPDX-License-Identifier: GPL-2.0-only
# Models: one TLB per address space, set-associative with a round-robin victim; a tag for loads and one for stores.
# Kernel functions: flush_tlb_page, flush_tlb_range, flush_tlb_mm.
# Differs: no global entries, none shared between address spaces, none of other CPUs.
cdef enum:
    NO_TAG_BYTE = 255           # memset of a tag that no page has

cdef inline uint64_t set_of(const pt_format* f, uint64_t vpn) noexcept nogil:
    return (vpn & ((<uint64_t>1 << f.tlb_sets_lg2) - 1)) * f.tlb_ways

cdef inline uint64_t tlb_entries(const pt_format* f) noexcept nogil:
    return <uint64_t>f.tlb_ways << f.tlb_sets_lg2

# The entry that serves such an access, or -1.
cdef inline int tlb_find(const pt_format* f, const tlb_entry* tlb, const uint32_t* pfn, uint64_t vpn, int kind) noexcept nogil:
    cdef int i = <int>set_of(f, vpn)
    cdef int way
    for way in range(f.tlb_ways):
        if rm_likely(tlb[i + way].tag[kind & 1] == vpn):
            if f.has_nx and rm_unlikely(kind & ACCESS_EXEC) and not pfn[i + way] & TLB_EXEC:
                return -1
            return i + way
    return -1

# Enters a translation for loads and, with `store`, for stores; what was known of that page is replaced.
cdef inline int tlb_put(const pt_format* f, addr_space* s, uint64_t vpn, bint store, uint32_t pfn) noexcept nogil:
    cdef int i = <int>set_of(f, vpn)
    cdef int way, victim = -1
    if f.tlb_ways == 1:
        victim = 0
    else:
        for way in range(f.tlb_ways):
            if s.tlb[i + way].tag[0] == vpn:
                victim = way
        if victim < 0:
            victim = s.tlb_next % f.tlb_ways
            s.tlb_next = <uint8_t>((victim + 1) % f.tlb_ways)
    i += victim
    s.tlb[i].tag[0] = vpn
    s.tlb[i].tag[1] = vpn | (<uint64_t>store - 1)
    s.tlb_pfn[i] = pfn
    return i

# Without a branch on what it held, which nothing predicts.
cdef inline void tlb_drop(const pt_format* f, addr_space* s, uint64_t vpn) noexcept nogil:
    cdef int way, i = <int>set_of(f, vpn)
    cdef uint64_t gone
    if s.tlb == NULL:
        return
    for way in range(f.tlb_ways):
        gone = -<uint64_t>(s.tlb[i + way].tag[0] == vpn)
        s.tlb[i + way].tag[0] |= gone
        s.tlb[i + way].tag[1] |= gone

cdef void tlb_drop_all(const pt_format* f, addr_space* s) noexcept nogil:
    if s.tlb != NULL:
        memset(s.tlb, NO_TAG_BYTE, tlb_entries(f) * sizeof(tlb_entry))

# Drops [first, last] by virtual page number, by whichever is shorter: the pages or the TLB.
cdef void tlb_drop_span(const pt_format* f, addr_space* s, uint64_t first, uint64_t last) noexcept nogil:
    cdef uint64_t i
    if s.tlb == NULL:
        return
    if last - first < tlb_entries(f):
        for i in range(last - first + 1):
            tlb_drop(f, s, first + i)
        return
    for i in range(tlb_entries(f)):
        if first <= s.tlb[i].tag[0] <= last:
            s.tlb[i].tag[0] = ~<uint64_t>0
            s.tlb[i].tag[1] = ~<uint64_t>0

cdef inline void drop_page_counted(const pt_format* f, hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    h.cost.tlb_flush_page += 1
    tlb_drop(f, s, va >> f.page_shift)

cdef void flush_tlb_page(hw_t* h, addr_space* s, uint64_t va) noexcept nogil:
    drop_page_counted(FMT(h), h, s, va)

cdef void flush_tlb_range(hw_t* h, addr_space* s, uint64_t va, uint64_t end) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    h.cost.tlb_flush_range += 1
    if f.range_flush_is_mm:
        tlb_drop_all(f, s)
    elif end > va:
        tlb_drop_span(f, s, va >> f.page_shift, (end - 1) >> f.page_shift)

cdef void flush_tlb_mm(hw_t* h, addr_space* s) noexcept nogil:
    h.cost.tlb_flush_mm += 1
    tlb_drop_all(FMT(h), s)

# ---- the host's memory of an address space: TLB, its frame numbers and the leaf cache, in one block
cdef inline uint64_t host_bytes(const pt_format* f) noexcept nogil:
    return tlb_entries(f) * (sizeof(tlb_entry) + sizeof(uint32_t)) + PDE_SLOTS * sizeof(leaf_cache)

cdef int alloc_caches(const pt_format* f, hw_t* h, addr_space* s) noexcept nogil:
    cdef uint8_t* p = <uint8_t*>h.alloc_host(h.ctx, host_bytes(f))
    if p == NULL:
        return -ENOMEM
    s.tlb_bytes = <uint32_t>host_bytes(f)
    s.pde = <leaf_cache*>p
    s.tlb = <tlb_entry*>(p + PDE_SLOTS * sizeof(leaf_cache))
    s.tlb_pfn = <uint32_t*>(<uint8_t*>s.tlb + tlb_entries(f) * sizeof(tlb_entry))
    memset(s.pde, NO_TAG_BYTE, PDE_SLOTS * sizeof(leaf_cache))
    tlb_drop_all(f, s)
    return 0

cdef void free_caches(hw_t* h, addr_space* s) noexcept nogil:
    if s.pde != NULL:
        h.free_host(h.ctx, s.pde, s.tlb_bytes)
    s.pde = NULL
    s.tlb = NULL
    s.tlb_pfn = NULL
    s.tlb_bytes = 0
