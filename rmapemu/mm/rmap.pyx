# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Where a page is mapped: the expected address, and whether an entry is really there.
# Kernel: mm/rmap.c (v3.2), vma_address to page_mapped_in_vma, is_vma_temporary_stack.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport SEEN_NOT_PRESENT, SEEN_OTHER
from rmapemu.hw.pte cimport pte_pfn, pte_present
from rmapemu.mm.compound cimport compound_order
from rmapemu.mm.lock cimport kernel_bug, page_table_lock, pte_lock, pte_unlock
from rmapemu.mm.types cimport *


cdef uint64_t huge_pgoff(machine* m, uint32_t pfn) noexcept nogil:
    """The offset in pages of a page of a hugetlb VMA, whose index counts huge pages (page_hstate, huge_page_order)."""
    if not m.config.hugetlb_page:
        return m.pages[pfn].index
    if compound_order(m, pfn) == 0:
        kernel_bug(m, BUG_OOPS, b"size_to_hstate() is NULL", b"huge_page_order")
    return m.pages[pfn].index << compound_order(m, pfn)


cdef uint64_t page_address_in_vma(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef anon_vma* av
    if PageAnon(p):
        av = page_anon_vma(m, p)
        # only the roots are compared: any anon_vma of the tree will do
        if vma.anon_vma == NULL or av == NULL or vma.anon_vma.root != av.root:
            return <uint64_t>VMA_EFAULT
    elif p.mapping == 0 or vma.vm_flags & VM_NONLINEAR or vma.vm_file == NULL or vma.vm_file != page_file_mapping(m, p):
        return <uint64_t>VMA_EFAULT
    return vma_address(m, pfn, vma)


cdef uint64_t* huge_check_address(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va) noexcept nogil:
    """hugetlb: the level-1 entry, read as a pte."""
    cdef uint64_t* pte = m.hw.ops.find_pmd(&m.hw, &mm.hw, va)
    page_table_lock(m, mm)
    if pte == NULL:
        kernel_bug(m, BUG_OOPS, b"huge_pte_offset() is NULL", b"__page_check_address")
    m.hw.cost.ptes_examined += 1
    if pte_present(m.hw.fmt, pte[0]) and pte_pfn(m.hw.fmt, pte[0]) == pfn:
        m.hw.cost.ptes_matched += 1
        return pte
    pte_unlock(m, mm)
    return NULL


cdef uint64_t* entry_not_there(machine* m, mm_struct* mm, uint64_t va, int seen, bint sync) noexcept nogil:
    # without sync an entry that is not present is passed over before the lock is taken
    if seen == SEEN_OTHER or (seen == SEEN_NOT_PRESENT and sync):
        pte_lock(m, mm, va)
        pte_unlock(m, mm)
    return NULL


cdef uint64_t* check_address_waiting(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, bint sync) noexcept nogil:
    """__page_check_address where the page table lock may have to be waited for: the entry counts as it is when the lock is had."""
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
    if pte == NULL:
        return NULL
    m.hw.cost.ptes_examined += 1
    if not sync and not pte_present(m.hw.fmt, pte[0]):
        return NULL
    pte_lock(m, mm, va)
    if pte_present(m.hw.fmt, pte[0]) and pte_pfn(m.hw.fmt, pte[0]) == pfn:
        m.hw.cost.ptes_matched += 1
        return pte
    pte_unlock(m, mm)
    return NULL


cdef int page_mapped_in_vma(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil:
    cdef uint64_t va = vma_address(m, pfn, vma)
    if va == <uint64_t>VMA_EFAULT:
        return 0
    if page_check_address(m, pfn, vma.vm_mm, va, &vma.leaf, True) == NULL:
        return 0
    pte_unlock(m, vma.vm_mm)
    return 1


cdef bint is_vma_temporary_stack(const vm_area_struct* vma) noexcept nogil:
    """VM_GROWSUP is 0 on the archs here: only stacks that grow down are looked at."""
    if not vma.vm_flags & VM_GROWSDOWN:
        return False
    return (vma.vm_flags & VM_STACK_INCOMPLETE_SETUP) == VM_STACK_INCOMPLETE_SETUP
