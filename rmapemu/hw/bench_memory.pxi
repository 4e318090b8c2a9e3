# SPDX-License-Identifier: GPL-2.0-only
# The bench's side of hw_t's callbacks: table frames first fit, host memory from the C library, faults as asked for.
ctypedef int (*referenced_t)(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c) noexcept nogil

cdef enum:
    KEYS = 4096                 # storage keys that there are at least
    EFAULT = 14
    ENOMEM = 12

cdef struct bench_t:
    hw_t hw                     # first: callbacks get it as ctx
    uint64_t frames             # of physical memory
    uint8_t* used               # a byte per frame: 1 where a table is
    uint64_t tables             # frames in use
    uint64_t host_bytes         # alloc_host less free_host
    int64_t budget              # tables that may still be made; negative: any number
    int demand                  # fault maps the page with prot[demand]; negative: it refuses with -EFAULT
    uint32_t next_pfn           # frame that demand maps next
    uint64_t made               # the entry that demand made last
    uint64_t faults             # fault callbacks
    uint64_t fault_va           # the last one's address
    int fault_kind              # and kind
    uint32_t* touched           # frames told by access_traced
    int64_t touched_n
    int64_t touched_max


cdef uint64_t bench_alloc(void* ctx, int order) noexcept nogil:
    cdef bench_t* b = <bench_t*>ctx
    cdef uint64_t n = <uint64_t>1 << order
    cdef uint64_t pfn = n, i
    if b.budget == 0:
        return 0
    while pfn + n <= b.frames:
        i = 0
        while i < n and not b.used[pfn + i]:
            i += 1
        if i == n:
            for i in range(n):
                b.used[pfn + i] = 1
            b.tables += n
            b.budget -= b.budget > 0
            return pfn << b.hw.fmt.page_shift
        pfn += n
    return 0


cdef void bench_free(void* ctx, uint64_t pa, int order) noexcept nogil:
    cdef bench_t* b = <bench_t*>ctx
    cdef uint64_t i, n = <uint64_t>1 << order
    for i in range(n):
        b.tables -= b.used[(pa >> b.hw.fmt.page_shift) + i]
        b.used[(pa >> b.hw.fmt.page_shift) + i] = 0


cdef void* bench_alloc_host(void* ctx, uint64_t size) noexcept nogil:
    (<bench_t*>ctx).host_bytes += size
    return calloc(size, 1)


cdef void bench_free_host(void* ctx, void* p, uint64_t size) noexcept nogil:
    (<bench_t*>ctx).host_bytes -= size
    free(p)


cdef int bench_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    cdef bench_t* b = <bench_t*>ctx
    cdef bint again = b.faults > 0 and b.fault_va == va and b.fault_kind == kind
    b.faults += 1
    b.fault_va = va
    b.fault_kind = kind
    if b.demand < 0 or va >= s.asce_limit or (again and pte != NULL and pte[0] == b.made):
        return -EFAULT          # also where what was mapped for this very access did not help
    if pte == NULL:
        pte = b.hw.ops.make_pte(&b.hw, s, va)
        if pte == NULL:
            return -ENOMEM
    b.made = mk_pte(b.hw.fmt, b.next_pfn, b.hw.fmt.prot[b.demand])
    b.hw.ops.set_pte(&b.hw, s, va, pte, b.made)
    b.next_pfn += 1
    return 0


cdef void bench_touched(void* ctx, const uint32_t* pfn, int64_t n) noexcept nogil:
    cdef bench_t* b = <bench_t*>ctx
    cdef int64_t i
    for i in range(n):
        if b.touched_n < b.touched_max:
            b.touched[b.touched_n] = pfn[i]
            b.touched_n += 1
