# SPDX-License-Identifier: GPL-2.0-only
# Models: leaves at level 1 (x86-64: PS, 2 MiB; s390: the large-page bit of a segment entry, 1 MiB).
# Kernel functions: pmd_mkhuge, pmd_huge, pmd_trans_huge, set_pmd_at.
# Differs: the level is 1 only; 1 GiB leaves are not made by v3.2's mm/ either.
cdef uint64_t make_huge(hw_t* h, uint64_t pte) noexcept nogil:
    return pte | FMT(h).level[1].huge_bits

cdef bint pmd_huge(hw_t* h, uint64_t e) noexcept nogil:
    return is_huge(FMT(h), e, 1)

cdef void set_pmd(hw_t* h, addr_space* s, uint64_t va, uint64_t* pmd, uint64_t e) noexcept nogil:
    forget_leaf(FMT(h), s, va)
    pmd[0] = e
    h.cost.ptes_written += 1
