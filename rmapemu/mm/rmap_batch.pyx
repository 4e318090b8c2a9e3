# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# page_referenced of a whole batch of reclaim: the entries of one mm are looked up together, and come from memory together.
# Kernel: none; mm/vmscan.c calls page_referenced (mm/rmap.c) page by page. Returns, bits and counters are those of that.
# Only anonymous pages with one VMA that decides nothing, while nobody could see a lock; what else there is, is left to the caller.
from libc.stdint cimport int8_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset
from rmapemu.hw.ops cimport rm_prefetch, rm_unlikely
from rmapemu.mm.rmap cimport plain_walks
from rmapemu.mm.lock cimport *
from rmapemu.mm.types cimport *


cdef enum:
    NO_MAPPING = 0xffffffff     # page.mapping of no page


cdef inline vm_area_struct* only_plain_vma(machine* m, const page* p) noexcept nogil:
    """The one VMA that an anonymous page can be mapped in, if its flags decide nothing; else NULL."""
    cdef const anon_vma* av = page_anon_vma(m, p)
    if av == NULL or av.head == NULL or av.head.next != NULL or av.head.vma.vm_flags & (VM_LOCKED | VM_SEQ_READ | VM_HUGETLB):
        return NULL
    return av.head.vma


cdef void referenced_run(machine* m, mm_struct* mm, const uint64_t* va, const uint32_t* pfn, int n, int8_t* referenced) noexcept nogil:
    """Pages that one mm maps, or none does: the locks of their walks are counted, and the page table lock where an entry is present."""
    cdef int i
    m.hw.cost.plain_walks += n
    m.hw.cost.vmas_visited += n
    m.hw.cost.locks[LOCK_PTL] += m.hw.ops.referenced_batch(&m.hw, &mm.hw, va, pfn, n, <uint8_t*>referenced)
    if m.hw.skey != NULL:
        for i in range(n):
            referenced[i] += <int8_t>m.hw.ops.page_test_and_clear_young(&m.hw, pfn[i])


cdef void page_referenced_batch(machine* m, const uint32_t* pfn, int n, uint32_t but, int8_t* referenced) noexcept nogil:
    cdef uint64_t va[SWAP_CLUSTER_MAX]
    cdef vm_area_struct* vma = NULL
    cdef const page* p
    cdef uint64_t offset
    cdef uint32_t mapping = NO_MAPPING
    cdef int i, start = 0               # of the run: pages of the same anon_vma, one after the other
    memset(referenced, 255, n)
    if not plain_walks(m):
        return
    but |= PG_head | PG_tail | PG_huge
    for i in range(n):
        p = &m.pages[pfn[i]]
        rm_prefetch(&m.private[pfn[i]])         # reclaim asks for its slot next
        if rm_unlikely(p.mapping != mapping or p.mapcount <= 0 or p.flags & but):
            if start < i:
                referenced_run(m, vma.vm_mm, &va[start], &pfn[start], i - start, &referenced[start])
            start = i + 1
            if p.flags & but:
                continue
            if p.mapcount <= 0:
                referenced[i] = 0
                continue
            vma = only_plain_vma(m, p)
            mapping = p.mapping if vma != NULL else NO_MAPPING
            if vma == NULL:
                continue
            start = i
        # vma_address
        offset = (p.index - vma.vm_pgoff) << m.page_shift
        va[i] = vma.vm_start + offset
        if rm_unlikely(offset >= vma.vm_end - vma.vm_start):
            if start < i:
                referenced_run(m, vma.vm_mm, &va[start], &pfn[start], i - start, &referenced[start])
            start = i + 1
    if start < n:
        referenced_run(m, vma.vm_mm, &va[start], &pfn[start], n - start, &referenced[start])
