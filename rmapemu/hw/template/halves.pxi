# SPDX-License-Identifier: GPL-2.0-only
# Models: two leaf tables in one frame (s390: 2 KiB tables in 4 KiB frames).
# Kernel functions: s390's page_table_alloc, page_table_free, mm->context.pgtable_list.
# Differs: v3.2 keeps the list in struct page; here the free half itself holds it, so that hw/ needs no struct page.
#
#   free half:  | MAGIC ^ its address | next pfn, previous pfn | ...      of frames that are half used, per address space
cdef extern from *:
    """
    #define HALF_MAGIC 0xa5c35a3cf00d0fb5ULL
    """
    const uint64_t HALF_MAGIC

cdef inline uint64_t* words_at(hw_t* h, uint64_t pa) noexcept nogil:
    return <uint64_t*>(h.base + pa)

cdef inline uint32_t half_next(uint64_t* w) noexcept nogil:
    return <uint32_t>w[1]

cdef inline uint32_t half_prev(uint64_t* w) noexcept nogil:
    return <uint32_t>(w[1] >> 32)

cdef inline bint is_free_half(hw_t* h, uint64_t pa) noexcept nogil:
    return words_at(h, pa)[0] == HALF_MAGIC ^ pa

# The free half of a frame that is on the list.
cdef inline uint64_t free_half_of(const pt_format* f, hw_t* h, uint32_t pfn) noexcept nogil:
    cdef uint64_t pa = <uint64_t>pfn << f.page_shift
    return pa if is_free_half(h, pa) else pa + f.level[0].table_bytes

# On the list? The mark alone could be a table's contents, so the neighbour must agree.
cdef inline bint half_listed(const pt_format* f, hw_t* h, addr_space* s, uint64_t pa) noexcept nogil:
    cdef uint64_t* w = words_at(h, pa)
    cdef uint32_t pfn = <uint32_t>(pa >> f.page_shift)
    if not is_free_half(h, pa):
        return False
    if half_prev(w) == 0:
        return s.pgtable_list == pfn
    return half_next(words_at(h, free_half_of(f, h, half_prev(w)))) == pfn

cdef void half_list_add(const pt_format* f, hw_t* h, addr_space* s, uint64_t pa) noexcept nogil:
    cdef uint64_t* w = words_at(h, pa)
    cdef uint32_t pfn = <uint32_t>(pa >> f.page_shift)
    cdef uint64_t* first
    w[0] = HALF_MAGIC ^ pa
    w[1] = s.pgtable_list
    if s.pgtable_list != 0:
        first = words_at(h, free_half_of(f, h, s.pgtable_list))
        first[1] = half_next(first) | <uint64_t>pfn << 32
    s.pgtable_list = pfn

cdef void half_list_del(const pt_format* f, hw_t* h, addr_space* s, uint64_t pa) noexcept nogil:
    cdef uint64_t* w = words_at(h, pa)
    cdef uint32_t following = half_next(w), before = half_prev(w)
    cdef uint64_t* x
    if before == 0:
        s.pgtable_list = following
    else:
        x = words_at(h, free_half_of(f, h, before))
        x[1] = (x[1] >> 32) << 32 | following
    if following != 0:
        x = words_at(h, free_half_of(f, h, following))
        x[1] = half_next(x) | <uint64_t>before << 32
    w[0] = 0

cdef uint64_t alloc_half(const pt_format* f, hw_t* h, addr_space* s) noexcept nogil:
    cdef uint64_t pa
    if s.pgtable_list != 0:
        pa = free_half_of(f, h, s.pgtable_list)
        half_list_del(f, h, s, pa)
        return pa
    pa = h.alloc_table(h.ctx, 0)
    if pa != 0:
        half_list_add(f, h, s, pa + f.level[0].table_bytes)
    return pa

cdef void free_half(const pt_format* f, hw_t* h, addr_space* s, uint64_t pa) noexcept nogil:
    cdef uint64_t other = pa ^ f.level[0].table_bytes
    words_at(h, pa)[0] = 0      # a stale entry here must not pass for the mark
    if half_listed(f, h, s, other):
        half_list_del(f, h, s, other)
        h.free_table(h.ctx, pa & ~<uint64_t>f.level[0].table_bytes, 0)
    else:
        half_list_add(f, h, s, pa)
