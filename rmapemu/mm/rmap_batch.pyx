# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# page_referenced of a whole batch of reclaim: the entries of one mm are looked up together, and come from memory together.
# Kernel: none; mm/vmscan.c calls page_referenced (mm/rmap.c) page by page. Returns, bits and counters are those of that.
# Only anonymous pages with one VMA that decides nothing, while nobody could see a lock; what else there is, is left to the caller.
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.mm.rmap cimport plain_walks
from rmapemu.mm.lock cimport *
from rmapemu.mm.types cimport *


cdef inline vm_area_struct* only_plain_vma(machine* m, const page* p) noexcept nogil:
    """The one VMA that an anonymous page can be mapped in, if its flags decide nothing; else NULL."""
    cdef const anon_vma* av = page_anon_vma(m, p)
    if av == NULL or av.head == NULL or av.head.next != NULL or av.head.vma.vm_flags & (VM_LOCKED | VM_SEQ_READ | VM_HUGETLB):
        return NULL
    return av.head.vma


cdef void referenced_run(machine* m, mm_struct* mm, const uint64_t* va, const uint32_t* pfn, int n, const uint8_t* which,
                         int* referenced) noexcept nogil:
    """Pages that one mm maps, or none does: the locks of their walks are counted, and the page table lock where an entry is present."""
    cdef uint8_t young[SWAP_CLUSTER_MAX]
    cdef int i
    m.hw.cost.rmap_walks += n
    m.hw.cost.rcu_read_lock += n
    m.hw.cost.vmas_visited += n
    m.hw.cost.locks[LOCK_ANON_VMA] += n
    m.hw.cost.locks[LOCK_PTL] += m.hw.ops.referenced_batch(&m.hw, &mm.hw, va, pfn, n, young)
    for i in range(n):
        referenced[which[i]] = young[i]
    if m.hw.skey != NULL:
        for i in range(n):
            referenced[which[i]] += m.hw.ops.page_test_and_clear_young(&m.hw, pfn[i])


cdef void page_referenced_batch(machine* m, const uint32_t* pfn, int n, uint32_t but, int* referenced) noexcept nogil:
    cdef uint64_t va[SWAP_CLUSTER_MAX]
    cdef uint32_t frame[SWAP_CLUSTER_MAX]
    cdef uint8_t which[SWAP_CLUSTER_MAX]
    cdef bint plain = plain_walks(m)
    cdef vm_area_struct* vma = NULL
    cdef const page* p
    cdef uint64_t offset
    cdef uint32_t mapping = 0
    cdef int i, k = 0
    but |= PG_head | PG_tail | PG_huge
    for i in range(n):
        p = &m.pages[pfn[i]]
        referenced[i] = -1
        if rm_unlikely(not plain or p.flags & but):
            continue
        if p.mapcount <= 0:
            referenced[i] = 0
            continue
        if rm_unlikely(p.mapping != mapping):
            if k:
                referenced_run(m, vma.vm_mm, va, frame, k, which, referenced)
            k = 0
            mapping = p.mapping
            vma = only_plain_vma(m, p)
        if rm_unlikely(vma == NULL):
            continue
        # vma_address
        offset = (p.index - vma.vm_pgoff) << m.page_shift
        if rm_likely(offset < vma.vm_end - vma.vm_start):
            va[k] = vma.vm_start + offset
            frame[k] = pfn[i]
            which[k] = <uint8_t>i
            k += 1
    if k:
        referenced_run(m, vma.vm_mm, va, frame, k, which, referenced)
