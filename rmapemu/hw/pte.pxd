# SPDX-License-Identifier: GPL-2.0-only
# The kernel's pte_* primitives, written once over `const pt_format *`.
# Included by the walker template (folded by the compiler) and cimported by mm/ (read at run time): one source, two bindings.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.format cimport pt_format, pt_match, pt_field

cdef inline bint pt_matches(const pt_match* p, uint64_t e) noexcept nogil:
    return (e & p.mask[0]) == p.value[0] or (p.mask[1] != 0 and (e & p.mask[1]) == p.value[1])

cdef inline uint64_t pt_put(const pt_field* f, uint64_t number) noexcept nogil:
    cdef uint64_t low = number & ((<uint64_t>1 << f.bits[0]) - 1)
    cdef uint64_t e = low << f.shift[0]
    if f.bits[1]:
        e |= ((number >> f.bits[0]) & ((<uint64_t>1 << f.bits[1]) - 1)) << f.shift[1]
    return e

cdef inline uint64_t pt_get(const pt_field* f, uint64_t e) noexcept nogil:
    cdef uint64_t n = (e >> f.shift[0]) & ((<uint64_t>1 << f.bits[0]) - 1)
    if f.bits[1]:
        n |= ((e >> f.shift[1]) & ((<uint64_t>1 << f.bits[1]) - 1)) << f.bits[0]
    return n

cdef inline bint pte_present(const pt_format* f, uint64_t e) noexcept nogil:
    return pt_matches(&f.present, e)

cdef inline bint pte_none(const pt_format* f, uint64_t e) noexcept nogil:
    return (e & f.none_mask) == f.none_value

cdef inline bint pte_file(const pt_format* f, uint64_t e) noexcept nogil:
    return f.file.mask[0] != 0 and pt_matches(&f.file, e)

cdef inline uint32_t pte_pfn(const pt_format* f, uint64_t e) noexcept nogil:
    return <uint32_t>((e & f.pa_mask) >> f.page_shift)

cdef inline bint pte_write(const pt_format* f, uint64_t e) noexcept nogil:
    return pt_matches(&f.write, e)

cdef inline bint pte_dirty(const pt_format* f, uint64_t e) noexcept nogil:
    return (e & f.dirty) != 0

cdef inline bint pte_young(const pt_format* f, uint64_t e) noexcept nogil:
    return (e & f.young) != 0

cdef inline bint pte_special(const pt_format* f, uint64_t e) noexcept nogil:
    return (e & f.special) != 0

cdef inline uint64_t pte_mkwrite(const pt_format* f, uint64_t e) noexcept nogil:
    return (e & ~f.write_clear) | f.write_set

cdef inline uint64_t pte_wrprotect(const pt_format* f, uint64_t e) noexcept nogil:
    if f.wrprotect_guard.mask[0] != 0 and not pt_matches(&f.wrprotect_guard, e):
        return e
    return (e & ~f.wrprotect_clear) | f.wrprotect_set

cdef inline uint64_t pte_mkdirty(const pt_format* f, uint64_t e) noexcept nogil:
    return e | f.dirty

cdef inline uint64_t pte_mkclean(const pt_format* f, uint64_t e) noexcept nogil:
    return e & ~f.dirty

cdef inline uint64_t pte_mkyoung(const pt_format* f, uint64_t e) noexcept nogil:
    return e | f.young

cdef inline uint64_t pte_mkold(const pt_format* f, uint64_t e) noexcept nogil:
    return e & ~f.young

cdef inline uint64_t pte_mkspecial(const pt_format* f, uint64_t e) noexcept nogil:
    return e | f.special

cdef inline uint64_t pte_modify(const pt_format* f, uint64_t e, uint64_t prot) noexcept nogil:
    return (e & f.chg_mask) | (prot & ~f.chg_mask)  # the protection's own accessed bit makes nothing young

cdef inline uint64_t mk_pte(const pt_format* f, uint32_t pfn, uint64_t prot) noexcept nogil:
    return (<uint64_t>pfn << f.page_shift) | prot

# swp_entry_t: a uint64 as the kernel's long, the type above the offset
cdef enum:
    SWP_TYPE_SHIFT = 58

cdef inline uint64_t swp_entry(uint64_t swap_type, uint64_t offset) noexcept nogil:
    return swap_type << SWP_TYPE_SHIFT | offset

cdef inline uint32_t swp_type(uint64_t entry) noexcept nogil:
    return <uint32_t>(entry >> SWP_TYPE_SHIFT)

cdef inline uint64_t swp_offset(uint64_t entry) noexcept nogil:
    return entry & ((<uint64_t>1 << SWP_TYPE_SHIFT) - 1)

cdef inline uint64_t swp_entry_to_pte(const pt_format* f, uint64_t entry) noexcept nogil:
    return f.swap_bits | pt_put(&f.swap_type, swp_type(entry)) | pt_put(&f.swap_offset, swp_offset(entry))

cdef inline uint64_t pte_to_swp_entry(const pt_format* f, uint64_t e) noexcept nogil:
    return swp_entry(pt_get(&f.swap_type, e), pt_get(&f.swap_offset, e))

cdef inline uint64_t pgoff_to_pte(const pt_format* f, uint64_t pgoff) noexcept nogil:
    return f.file_bits | pt_put(&f.file_pgoff, pgoff)

cdef inline uint64_t pte_to_pgoff(const pt_format* f, uint64_t e) noexcept nogil:
    return pt_get(&f.file_pgoff, e)
