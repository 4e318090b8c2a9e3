# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Entries move from one address to another, leaf table by leaf table, pages and counts untouched.
# Kernel: mm/mremap.c (v3.2), move_page_tables, move_ptes. Differs: no huge entries; mremap(2) itself is not here, exec uses this.
from libc.stdint cimport uint64_t
from rmapemu.hw.pte cimport pte_none
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start
from rmapemu.mm.types cimport *

cdef enum:
    LATENCY_LIMIT_PAGES = 64    # entries moved under one lock


cdef void move_ptes(machine* m, vm_area_struct* vma, uint64_t va, uint64_t end, uint64_t* old_pte, uint64_t new,
                    uint64_t* new_pte) noexcept nogil:
    """[va, end) and its place from new on lie in one leaf table each."""
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t e
    # truncation, which visits the VMAs in order, must not miss a page on its way
    if vma.vm_file != NULL:
        i_mmap_lock(m, vma.vm_file)
    pte_lock(m, mm, va)
    if m.config.split_ptlocks and leaf_table_pfn(m, mm, va) != leaf_table_pfn(m, mm, new):
        # the other table's beside it, around code that nobody can look into: counted, not noted as held
        ptl_wait(m, mm, new)
        m.hw.cost.locks[LOCK_PTL] += 1
    while va < end:
        e = old_pte[0]
        if not pte_none(m.hw.fmt, e):
            m.hw.ops.set_pte(&m.hw, &mm.hw, va, old_pte, m.hw.fmt.clear_value)
            m.hw.ops.set_pte(&m.hw, &mm.hw, new, new_pte, e)
        old_pte += 1
        new_pte += 1
        va += <uint64_t>1 << m.page_shift
        new += <uint64_t>1 << m.page_shift
    pte_unlock(m, mm)
    if vma.vm_file != NULL:
        i_mmap_unlock(m, vma.vm_file)


cdef uint64_t extent_of(machine* m, uint64_t va, uint64_t left) noexcept nogil:
    """Bytes from va to the end of its leaf table, at most left."""
    cdef uint64_t leaf_bytes = <uint64_t>1 << m.hw.fmt.level[1].shift
    return min(leaf_bytes - (va & (leaf_bytes - 1)), left)


cdef uint64_t move_page_tables(machine* m, vm_area_struct* vma, uint64_t old, vm_area_struct* new_vma, uint64_t new,
                               uint64_t size) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t end = old + size
    cdef uint64_t va = old
    cdef uint64_t extent
    cdef uint64_t* from_pte
    cdef uint64_t* to_pte
    cdef bint moved = False
    mmu_notifier_invalidate_range_start(m, mm, old, end)
    while va < end:
        extent = extent_of(m, va, end - va)
        from_pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
        if from_pte != NULL:
            to_pte = m.hw.ops.make_pte(&m.hw, &new_vma.vm_mm.hw, new)
            if to_pte == NULL:
                break
            extent = min(extent_of(m, new, extent), <uint64_t>LATENCY_LIMIT_PAGES << m.page_shift)
            move_ptes(m, vma, va, va + extent, from_pte, new, to_pte)
            moved = True
        va += extent
        new += extent
    if moved:
        m.hw.ops.flush_tlb_range(&m.hw, &mm.hw, old, va)
    mmu_notifier_invalidate_range_end(m, mm, old, end)
    return va - old
