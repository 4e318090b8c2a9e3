# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Every VMA where a page could be mapped, whether an entry is there or not: what migration needs to put entries back.
# Kernel: mm/rmap.c (v3.2), rmap_walk_anon, rmap_walk_file, rmap_walk. Nonlinear VMAs are left out, as there.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.ksm cimport rmap_walk_ksm
from rmapemu.mm.lock cimport *
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap cimport SWAP_AGAIN, vma_address, VMA_EFAULT
from rmapemu.mm.types cimport *


cdef int rmap_walk_anon(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil:
    """Not through page_lock_anon_vma: the page need not be mapped now. The caller keeps the anon_vma alive."""
    cdef anon_vma* av = page_anon_vma(m, &m.pages[pfn])
    cdef anon_vma_chain* avc
    cdef uint64_t va
    cdef int ret = SWAP_AGAIN
    if av == NULL:
        return ret
    anon_vma_lock(m, av)
    avc = av.head
    while avc != NULL:
        m.hw.cost.vmas_visited += 1
        va = vma_address(m, pfn, avc.vma)
        if va != <uint64_t>VMA_EFAULT:
            ret = rmap_one(m, pfn, avc.vma, va, arg)
            if ret != SWAP_AGAIN:
                break
        avc = avc.next
    anon_vma_unlock(m, av)
    return ret


cdef int rmap_walk_file(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil:
    cdef address_space* mapping = page_file_mapping(m, &m.pages[pfn])
    cdef uint64_t pgoff = m.pages[pfn].index
    cdef vm_area_struct* vma
    cdef uint64_t va
    cdef int ret = SWAP_AGAIN
    if mapping == NULL:
        return ret
    i_mmap_lock(m, mapping)
    vma = vma_prio_tree_first(mapping, pgoff, pgoff)
    while vma != NULL:
        m.hw.cost.vmas_visited += 1
        va = vma_address(m, pfn, vma)
        if va != <uint64_t>VMA_EFAULT:
            ret = rmap_one(m, pfn, vma, va, arg)
            if ret != SWAP_AGAIN:
                break
        vma = vma_prio_tree_next(mapping, vma, pgoff, pgoff)
    i_mmap_unlock(m, mapping)
    return ret


cdef int rmap_walk(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil:
    VM_BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"rmap_walk")
    m.hw.cost.rmap_walks += 1
    if PageKsm(&m.pages[pfn]):
        return rmap_walk_ksm(m, pfn, rmap_one, arg)
    if PageAnon(&m.pages[pfn]):
        return rmap_walk_anon(m, pfn, rmap_one, arg)
    return rmap_walk_file(m, pfn, rmap_one, arg)
