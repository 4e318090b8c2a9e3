# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# page_referenced of a whole batch of reclaim: the entries of one mm are looked up together, and come from memory together.
# Kernel: none; mm/vmscan.c calls page_referenced (mm/rmap.c) page by page. Returns, bits and counters are those of that.
# Only anonymous pages with one VMA that decides nothing, while nobody could see a lock; what else there is, is left to the caller.
from libc.stdint cimport int8_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset
from rmapemu.hw.ops cimport BATCH_MAX, rm_prefetch, rm_unlikely
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


cdef struct run_t:              # pages of one anon_vma, one after the other, with their entries
    int start                   # in the batch
    int walked                  # whose leaf table was looked for; the others stand in the same table as the one before
    const uint32_t* pfn
    int8_t* referenced
    uint64_t vpn[BATCH_MAX]
    uint64_t* pte[BATCH_MAX]    # NULL: no leaf table

cdef struct table_t:            # the leaf table of the last entry that was found
    uint64_t* leaf              # its first entry; NULL: none
    uint64_t pgoff              # page.index of that, be it of the VMA or not
    uint64_t* known             # the first entry that is also of the VMA
    uint64_t known_pgoff
    uint64_t known_pages        # 0: one page does not tell whether more of this table will follow


cdef void end_run(machine* m, vm_area_struct* vma, run_t* r, int end) noexcept nogil:
    """Pages that one mm maps, or none does: the locks of their walks are counted, and the page table lock where an entry is present.
    The next run starts after `end`."""
    cdef int i, n = end - r.start
    cdef int8_t* referenced = &r.referenced[r.start]
    cdef const uint32_t* pfn = &r.pfn[r.start]
    cdef mm_struct* mm
    if n == 0:
        r.start += 1
        return
    mm = vma.vm_mm
    m.hw.cost.plain_walks += n
    m.hw.cost.vmas_visited += n
    m.hw.cost.table_levels += (n - r.walked) * mm.hw.levels
    m.hw.cost.locks[LOCK_PTL] += m.hw.ops.referenced_batch(&m.hw, &mm.hw, &r.pte[r.start], &r.vpn[r.start], pfn, n, <uint8_t*>referenced)
    if m.hw.skey != NULL:
        for i in range(n):
            referenced[i] += <int8_t>m.hw.ops.page_test_and_clear_young(&m.hw, pfn[i])
    r.start = end + 1
    r.walked = 0


cdef inline uint64_t* find_entry(machine* m, vm_area_struct* vma, run_t* r, table_t* t, uint64_t index, uint64_t vpn) noexcept nogil:
    """Of a page that lies in the VMA, but not in what is known."""
    cdef uint64_t entries = <uint64_t>1 << m.hw.fmt.level[0].index_bits
    cdef uint64_t k = index - t.pgoff
    cdef uint64_t before, after         # pages of the VMA before this one, and from it on
    cdef uint64_t* pte
    if t.leaf != NULL and k < entries:
        before = min(k, index - vma.vm_pgoff)
        after = min(entries - k, (vma.vm_end >> m.page_shift) - vpn)
        pte = t.leaf + k
        t.known = pte - before
        t.known_pgoff = index - before
        t.known_pages = before + after
        return pte
    r.walked += 1
    pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, vpn << m.page_shift)
    k = vpn & (entries - 1)
    t.leaf = pte - k if pte != NULL else NULL
    t.pgoff = index - k
    return pte


# The entries are on their way from memory while the next ones are looked for.
cdef void page_referenced_batch(machine* m, const uint32_t* pfn, int n, uint32_t but, int8_t* referenced) noexcept nogil:
    cdef run_t run
    cdef table_t t
    cdef const page* pages = m.pages
    cdef const page* p
    cdef vm_area_struct* vma = NULL
    cdef uint64_t k, vpn, pgoff = 0, first_vpn = 0, size_pages = 0      # of the VMA
    cdef uint32_t mapping = NO_MAPPING
    cdef int i
    memset(referenced, 255, n)
    if not plain_walks(m):
        return
    but |= PG_head | PG_tail | PG_huge
    run.start = 0
    run.walked = 0
    run.pfn = pfn
    run.referenced = referenced
    memset(&t, 0, sizeof(t))
    for i in range(n):
        p = &pages[pfn[i]]
        if rm_unlikely(p.mapping != mapping or p.mapcount <= 0 or p.flags & but):
            end_run(m, vma, &run, i)
            if p.flags & but:
                continue
            if p.mapcount <= 0:
                referenced[i] = 0
                continue
            vma = only_plain_vma(m, p)
            mapping = p.mapping if vma != NULL else NO_MAPPING
            if vma == NULL:
                continue
            run.start = i
            pgoff = vma.vm_pgoff
            first_vpn = vma.vm_start >> m.page_shift
            size_pages = (vma.vm_end - vma.vm_start) >> m.page_shift
            memset(&t, 0, sizeof(t))
        vpn = first_vpn + (p.index - pgoff)
        k = p.index - t.known_pgoff
        if k < t.known_pages:
            run.pte[i] = t.known + k
        elif rm_unlikely(p.index - pgoff >= size_pages):
            end_run(m, vma, &run, i)
            continue
        else:
            run.pte[i] = find_entry(m, vma, &run, &t, p.index, vpn)
        run.vpn[i] = vpn
        rm_prefetch(run.pte[i])
    end_run(m, vma, &run, n)
