# SPDX-License-Identifier: GPL-2.0-only
# Models: storage keys, a byte per frame: | ACC 0xf0 | F 0x08 | R 0x04 | C 0x02 |, read by ISKE, written by SSKE, R reset by RRBE.
# Kernel functions: page_test_and_clear_young, page_test_and_clear_dirty, SetPageUptodate of s390.
# Differs: nothing; where the format has no keys these do nothing, as asm-generic's.
cdef inline bint has_keys(const pt_format* f, hw_t* h) noexcept nogil:
    return f.key_referenced != 0 and h.skey != NULL

cdef int page_test_and_clear_young(hw_t* h, uint32_t pfn) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint8_t key
    if not has_keys(f, h):
        return 0
    h.cost.rrbe += 1
    key = h.skey[pfn]
    h.skey[pfn] = key & ~f.key_referenced
    return (key & f.key_referenced) != 0

# `mapped` tells SSKE of v3.2 whether a nonquiescing one will do; it changes nothing here.
cdef int page_test_and_clear_dirty(hw_t* h, uint32_t pfn, int mapped) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    cdef uint8_t key
    if not has_keys(f, h):
        return 0
    h.cost.iske += 1
    key = h.skey[pfn]
    if key & f.key_changed == 0:
        return 0
    h.cost.sske += 1
    h.skey[pfn] = key & ~f.key_changed
    return 1

cdef void page_set_uptodate(hw_t* h, uint32_t pfn) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    if has_keys(f, h):
        h.cost.sske += 1
        h.skey[pfn] = f.key_default

cdef void kernel_access(hw_t* h, uint32_t pfn, int kind) noexcept nogil:
    cdef const pt_format* f = FMT(h)
    if has_keys(f, h):
        key_touch(f, h.skey + pfn, kind)
