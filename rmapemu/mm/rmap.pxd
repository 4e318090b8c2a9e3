# SPDX-License-Identifier: GPL-2.0-only
# What the reverse map's modules share: flags, return values, vma_address, page_mapped. The rest of mm/rmap.c (v3.2) stands in
# anon_vma, rmap_add, rmap_referenced, rmap_unmap, rmap_nonlinear, rmap_mkclean and rmap_walk beside this file.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.compound cimport PageHuge
from rmapemu.mm.lock cimport LOCK_ANON_VMA, pte_lock
from rmapemu.mm.types cimport *

cdef enum:
    TTU_UNMAP = 0
    TTU_MIGRATION = 1
    TTU_MUNLOCK = 2
    TTU_ACTION_MASK = 0xff
    TTU_IGNORE_MLOCK = 1 << 8
    TTU_IGNORE_ACCESS = 1 << 9
    TTU_IGNORE_HWPOISON = 1 << 10
    SWAP_SUCCESS = 0
    SWAP_AGAIN = 1
    SWAP_FAIL = 2
    SWAP_MLOCK = 3

cdef enum:
    VMA_EFAULT = -14            # what vma_address returns, as an unsigned address, where the page is not in the VMA

cdef inline bint page_mapped(machine* m, uint32_t pfn) noexcept nogil:
    return m.pages[pfn].mapcount > 0

cdef inline bint plain_walks(const machine* m) noexcept nogil:
    """No lock on the way held, no notifier, no swap token: then nobody sees the locks taken and dropped around an entry."""
    return (m.nr_held_other | m.nr_notified) == 0 and m.swap_token_mm == NULL and m.held_mask >> LOCK_ANON_VMA == 0

cdef inline bint plain_page(const page* p) noexcept nogil:
    return not p.flags & (PG_head | PG_tail | PG_huge)

cdef uint64_t huge_pgoff(machine* m, uint32_t pfn) noexcept nogil

cdef inline uint64_t vma_address(machine* m, uint32_t pfn, const vm_area_struct* vma) noexcept nogil:
    """The address where the page is expected in the VMA, or <uint64_t>-EFAULT."""
    cdef uint64_t pgoff = m.pages[pfn].index
    cdef uint64_t offset
    if rm_unlikely(vma.vm_flags & VM_HUGETLB):
        pgoff = huge_pgoff(m, pfn)
    # address < vm_start || address >= vm_end, in one comparison
    offset = (pgoff - vma.vm_pgoff) << m.page_shift
    return vma.vm_start + offset if offset < vma.vm_end - vma.vm_start else <uint64_t>VMA_EFAULT

cdef uint64_t page_address_in_vma(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil       # or <uint64_t>-EFAULT
cdef uint64_t* huge_check_address(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va) noexcept nogil
cdef uint64_t* entry_not_there(machine* m, mm_struct* mm, uint64_t va, int seen, bint sync) noexcept nogil         # NULL

cdef uint64_t* check_address_waiting(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, bint sync) noexcept nogil

cdef inline uint64_t* page_check_address(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, leaf_cache* c, bint sync) noexcept nogil:
    """__page_check_address: the locked entry (page table lock held), or NULL."""
    cdef uint64_t* pte
    cdef int seen
    if rm_unlikely(PageHuge(m, pfn)):
        return huge_check_address(m, pfn, mm, va)
    if rm_unlikely(m.nr_held_other != 0):
        return check_address_waiting(m, pfn, mm, va, sync)
    pte = m.hw.ops.check_address(&m.hw, &mm.hw, va, pfn, c, &seen)
    if rm_unlikely(pte == NULL):
        return entry_not_there(m, mm, va, seen, sync)
    pte_lock(m, mm, va)
    return pte

cdef int page_mapped_in_vma(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil
cdef bint is_vma_temporary_stack(const vm_area_struct* vma) noexcept nogil
