# SPDX-License-Identifier: GPL-2.0-only
# Models: the kernel's loops over the entries of one leaf table; the old entries come back for mm/ to account for.
# Kernel functions: the inner loops of zap_pte_range, copy_pte_range, change_pte_range.
# Differs: entries that are not present are copied as they are; what they stand for is mm/'s to count.
cdef inline int run_pages(const pt_format* f, uint64_t va, uint64_t end) noexcept nogil:
    return <int>((end - va) >> f.page_shift)

cdef int scan_run(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t* old, uint16_t* at) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t* p = kernel_walk(f, h, s, va, NULL)
    cdef int i, k = 0, n = run_pages(f, va, end)
    if p == NULL:
        return 0
    h.cost.ptes_examined += n
    for i in range(n):
        if not pte_none(f, p[i]):
            old[k] = p[i]
            at[k] = i
            k += 1
    return k

cdef int clear_run(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t* old, uint16_t* at) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t* p = kernel_walk(f, h, s, va, NULL)
    cdef int i, k = 0, n = run_pages(f, va, end)
    if p == NULL:
        return 0
    h.cost.ptes_examined += n
    for i in range(n):
        if not pte_none(f, p[i]):
            old[k] = p[i]
            at[k] = i
            p[i] = f.clear_value
            k += 1
    h.cost.ptes_written += k
    return k

cdef int copy_run(hw_t* h, uint64_t* to, addr_space* s, uint64_t va, uint64_t end, bint cow, bint shared,
                  uint64_t* old, uint16_t* at) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t* p = kernel_walk(f, h, s, va, NULL)
    cdef uint64_t e
    cdef int i, k = 0, writes = 0, n = run_pages(f, va, end)
    if p == NULL:
        return 0
    h.cost.ptes_examined += n
    for i in range(n):
        e = p[i]
        if pte_none(f, e):
            continue
        old[k] = e
        at[k] = i
        k += 1
        if pte_present(f, e):
            if cow:
                e = pte_wrprotect(f, e)
                p[i] = e
                writes += 1
            if shared:
                e = pte_mkclean(f, e)
            e = pte_mkold(f, e)
        to[i] = e
    h.cost.ptes_written += k + writes
    return k

cdef int protect_run(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t prot) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint64_t* p = kernel_walk(f, h, s, va, NULL)
    cdef int i, k = 0, n = run_pages(f, va, end)
    if p == NULL:
        return 0
    h.cost.ptes_examined += n
    for i in range(n):
        if pte_present(f, p[i]):
            p[i] = pte_modify(f, p[i], prot)
            k += 1
    h.cost.ptes_written += k
    return k
