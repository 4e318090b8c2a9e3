# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Write-protecting and cleaning a file page before it is written back, so that the next store is seen.
# Kernel: mm/rmap.c (v3.2), page_mkclean_one, page_mkclean_file, page_mkclean. Only shared mappings are looked at.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.pte cimport pte_dirty, pte_mkclean, pte_write, pte_wrprotect
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmu_notifier cimport ptep_clear_flush_notify
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap cimport page_check_address, page_mapped, vma_address, VMA_EFAULT
from rmapemu.mm.types cimport *


cdef int page_mkclean_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t* pte = page_check_address(m, pfn, mm, va, &vma.leaf, True)
    cdef uint64_t entry
    cdef int ret = 0
    if pte == NULL:
        return 0
    if pte_dirty(m.hw.fmt, pte[0]) or pte_write(m.hw.fmt, pte[0]):
        m.hw.cost.cache_flush_page += 1
        entry = ptep_clear_flush_notify(m, mm, va, pte)
        m.hw.cost.dirty_cleared += pte_dirty(m.hw.fmt, entry)
        entry = pte_mkclean(m.hw.fmt, pte_wrprotect(m.hw.fmt, entry))
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
        ret = 1
    pte_unlock(m, mm)
    return ret


cdef int page_mkclean_file(machine* m, address_space* mapping, uint32_t pfn) noexcept nogil:
    cdef uint64_t pgoff = m.pages[pfn].index
    cdef vm_area_struct* vma
    cdef uint64_t va
    cdef int ret = 0
    BUG_ON(m, PageAnon(&m.pages[pfn]), b"PageAnon(page)", b"page_mkclean_file")
    i_mmap_lock(m, mapping)
    vma = vma_prio_tree_first(mapping, pgoff, pgoff)
    while vma != NULL:
        m.hw.cost.vmas_visited += 1
        if vma.vm_flags & VM_SHARED:
            va = vma_address(m, pfn, vma)
            if va != <uint64_t>VMA_EFAULT:
                ret += page_mkclean_one(m, pfn, vma, va)
        vma = vma_prio_tree_next(mapping, vma, pgoff, pgoff)
    i_mmap_unlock(m, mapping)
    return ret


cdef void swapper_space_mkclean(machine* m, uint32_t pfn) noexcept nogil:
    """page_mapping of a swap-cache page is swapper_space, which no VMA maps."""
    BUG_ON(m, PageAnon(&m.pages[pfn]), b"PageAnon(page)", b"page_mkclean_file")
    spin_lock(m, LOCK_I_MMAP)
    spin_unlock(m, LOCK_I_MMAP)


cdef int page_mkclean(machine* m, uint32_t pfn) noexcept nogil:
    cdef address_space* mapping
    cdef int ret = 0
    BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"page_mkclean")
    if not page_mapped(m, pfn):
        return 0
    m.hw.cost.rmap_walks += 1
    if m.pages[pfn].flags & PG_swapcache:
        swapper_space_mkclean(m, pfn)
    else:
        mapping = page_file_mapping(m, &m.pages[pfn])
        if mapping == NULL:
            return 0
        ret = page_mkclean_file(m, mapping, pfn)
    if m.hw.ops.page_test_and_clear_dirty(&m.hw, pfn, 1):
        ret = 1
    return ret
