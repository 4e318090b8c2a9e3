# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Unmapping: entries are cleared a leaf table at a time, their pages and swap slots let go.
# Kernel: mm/memory.c (unmap_vmas, zap_pte_range, zap_page_range, unmap_mapping_range, free_pgtables).
# Differs: one TLB flush per gather, before the first frame is freed: nothing runs in between that could load the TLB again.
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport RUN_MAX, rm_likely, rm_prefetch, rm_unlikely
from rmapemu.hw.pte cimport pgoff_to_pte, pte_dirty, pte_file, pte_present, pte_to_swp_entry, pte_young, swp_type
from rmapemu.mm.anon_vma cimport unlink_anon_vmas
from rmapemu.mm.atomic cimport atomic_dec
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport (entry_pfn, plain_entry, plain_entry_init, plain_pfn, print_bad_pte, update_hiwater_rss,
                                vm_normal_page)
from rmapemu.mm.mmap cimport vma_unlink_file
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start
from rmapemu.mm.page_writeback cimport set_page_dirty
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap_add cimport page_remove_rmap
from rmapemu.mm.swap_lru cimport mark_page_accessed
from rmapemu.mm.swap_state cimport free_page_and_swap_cache
from rmapemu.mm.swapfile cimport free_swap_and_cache
from rmapemu.mm.types cimport *

cdef enum:
    AHEAD = 12                  # entries whose struct page is fetched ahead

cdef struct zap_run_t:          # a leaf table's worth of entries on their way out
    uint64_t old[RUN_MAX]
    uint16_t at[RUN_MAX]
    uint32_t pfn[RUN_MAX]       # frames to let go once the TLB is flushed
    int n                       # of them
    bint present                # some entry was present


cdef void tlb_gather_mmu(mmu_gather* tlb, mm_struct* mm, bint fullmm) noexcept nogil:
    tlb.mm = mm
    tlb.fullmm = fullmm
    tlb.flushed = False


cdef void tlb_finish_mmu(machine* m, mmu_gather* tlb) noexcept nogil:
    tlb.flushed = False


cdef void tlb_flush(machine* m, mmu_gather* tlb) noexcept nogil:
    if not tlb.flushed:
        m.hw.ops.flush_tlb_mm(&m.hw, &tlb.mm.hw)
        tlb.flushed = True


# ---------------------------------------------------------------- single entries
cdef inline bint sequential_hint(const vm_area_struct* vma) noexcept nogil:
    return (vma.vm_flags & (VM_SEQ_READ | VM_RAND_READ)) == VM_SEQ_READ


cdef inline void zap_present(machine* m, vm_area_struct* vma, uint32_t pfn, uint64_t e, zap_run_t* run) noexcept nogil:
    """The accounting of an entry that mapped the page and is none by now."""
    if PageAnon(&m.pages[pfn]):
        vma.vm_mm.rss_stat[MM_ANONPAGES] -= 1
    else:
        if pte_dirty(m.hw.fmt, e):
            set_page_dirty(m, pfn)
        if pte_young(m.hw.fmt, e) and not sequential_hint(vma):
            mark_page_accessed(m, pfn)
        vma.vm_mm.rss_stat[MM_FILEPAGES] -= 1
    if m.pages[pfn].mapcount > 1:
        atomic_dec(&m.pages[pfn].mapcount)      # all that page_remove_rmap does where others map the page
    else:
        page_remove_rmap(m, pfn)
        if rm_unlikely(m.pages[pfn].mapcount < 0):
            print_bad_pte(m, vma, 0, e)
    run.pfn[run.n] = pfn
    run.n += 1


cdef void zap_not_present(machine* m, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil:
    cdef uint64_t entry
    if pte_file(m.hw.fmt, e):
        if not vma.vm_flags & VM_NONLINEAR:
            print_bad_pte(m, vma, va, e)
        return
    entry = pte_to_swp_entry(m.hw.fmt, e)
    if swp_type(entry) < MAX_SWAPFILES:
        vma.vm_mm.rss_stat[MM_SWAPENTS] -= 1
    if not free_swap_and_cache(m, entry):
        print_bad_pte(m, vma, va, e)


# ---------------------------------------------------------------- runs within a leaf table, the lock held
cdef inline void zap_all(machine* m, vm_area_struct* vma, uint64_t va, uint64_t end, zap_run_t* run) noexcept nogil:
    cdef int n = m.hw.ops.clear_run(&m.hw, &vma.vm_mm.hw, va, end, run.old, run.at)
    cdef plain_entry plain
    cdef uint32_t pfn
    cdef int i
    plain_entry_init(m, &plain)
    for i in range(n):
        if i + AHEAD < n:
            rm_prefetch(m.pages + entry_pfn(&plain, run.old[i + AHEAD]))
        pfn = plain_pfn(&plain, run.old[i])
        if rm_likely(pfn != 0):
            run.present = True
            zap_present(m, vma, pfn, run.old[i], run)
        elif pte_present(m.hw.fmt, run.old[i]):
            run.present = True
            vm_normal_page(m, vma, va, run.old[i])      # none: the zero page; or a bad entry, which it reports
        else:
            zap_not_present(m, vma, va + (<uint64_t>run.at[i] << m.page_shift), run.old[i])


cdef inline bint details_spare(machine* m, const zap_details* d, uint32_t pfn) noexcept nogil:
    cdef const page* p = &m.pages[pfn]
    if d.check_mapping != NULL and page_file_mapping(m, p) != d.check_mapping:
        return True
    return d.nonlinear_vma != NULL and (p.index < d.first_index or p.index > d.last_index)


cdef void zap_chosen(machine* m, vm_area_struct* vma, uint64_t va, uint64_t end, zap_run_t* run, zap_details* d) noexcept nogil:
    """Only what the details name; swap and file entries stay."""
    cdef mm_struct* mm = vma.vm_mm
    cdef int n = m.hw.ops.scan_run(&m.hw, &mm.hw, va, end, run.old, run.at)
    cdef uint64_t page_bytes = <uint64_t>1 << m.page_shift
    cdef uint64_t one, e
    cdef uint16_t zero
    cdef uint32_t pfn
    cdef int i
    for i in range(n):
        e = run.old[i]
        if not pte_present(m.hw.fmt, e):
            continue
        one = va + (<uint64_t>run.at[i] << m.page_shift)
        pfn = vm_normal_page(m, vma, one, e)
        if pfn and details_spare(m, d, pfn):
            continue
        m.hw.ops.clear_run(&m.hw, &mm.hw, one, one + page_bytes, &e, &zero)
        run.present = True
        if pfn == 0:
            continue
        if d.nonlinear_vma != NULL and linear_page_index(m, d.nonlinear_vma, one) != m.pages[pfn].index:
            m.hw.ops.set_pte(&m.hw, &mm.hw, one, m.hw.ops.find_pte(&m.hw, &mm.hw, one), pgoff_to_pte(m.hw.fmt, m.pages[pfn].index))
        zap_present(m, vma, pfn, e, run)


cdef void zap_pte_range(machine* m, mmu_gather* tlb, vm_area_struct* vma, uint64_t va, uint64_t end, zap_details* d) noexcept nogil:
    cdef zap_run_t run
    cdef int i
    run.n = 0
    run.present = False
    pte_lock(m, tlb.mm, va)
    if d == NULL:
        zap_all(m, vma, va, end, &run)
    else:
        zap_chosen(m, vma, va, end, &run, d)
    pte_unlock(m, tlb.mm)
    if run.present:
        tlb_flush(m, tlb)
    for i in range(run.n):
        if m.pages[run.pfn[i]].count > 1 and not m.pages[run.pfn[i]].flags & PG_swapcache:
            atomic_dec(&m.pages[run.pfn[i]].count)
        else:
            free_page_and_swap_cache(m, run.pfn[i])


cdef void unmap_page_range(machine* m, mmu_gather* tlb, vm_area_struct* vma, uint64_t start, uint64_t end, zap_details* d) noexcept nogil:
    cdef uint64_t leaf_bytes = <uint64_t>1 << m.hw.fmt.level[1].shift
    cdef uint64_t table_bytes = leaf_bytes << m.hw.fmt.level[1].index_bits
    cdef uint64_t va = start
    cdef uint64_t next
    if d != NULL and d.check_mapping == NULL and d.nonlinear_vma == NULL:
        d = NULL
    while va < end:
        if m.hw.ops.find_pmd(&m.hw, &tlb.mm.hw, va) == NULL:
            va = (va | (table_bytes - 1)) + 1
        else:
            next = (va | (leaf_bytes - 1)) + 1
            if next > end:
                next = end
            if m.hw.ops.find_pte(&m.hw, &tlb.mm.hw, va) != NULL:
                zap_pte_range(m, tlb, vma, va, next, d)
            va = next
        if va == 0:
            break


# ---------------------------------------------------------------- ranges
cdef uint64_t unmap_vmas(machine* m, mmu_gather* tlb, vm_area_struct* vma, uint64_t start, uint64_t end,
                         zap_details* details) noexcept nogil:
    cdef uint64_t accounted = 0
    cdef uint64_t first, last
    mmu_notifier_invalidate_range_start(m, tlb.mm, start, end)
    while vma != NULL and vma.vm_start < end:
        first = vma.vm_start if vma.vm_start > start else start
        last = vma.vm_end if vma.vm_end < end else end
        if first < last:
            if vma.vm_flags & VM_ACCOUNT:
                accounted += (last - first) >> m.page_shift
            unmap_page_range(m, tlb, vma, first, last, details)
        vma = vma.vm_next
    mmu_notifier_invalidate_range_end(m, tlb.mm, start, end)
    return accounted


cdef void zap_vma_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, zap_details* details) noexcept nogil:
    cdef mmu_gather tlb
    tlb_gather_mmu(&tlb, vma.vm_mm, False)
    update_hiwater_rss(vma.vm_mm)
    unmap_vmas(m, &tlb, vma, start, end, details)
    tlb_finish_mmu(m, &tlb)


cdef void zap_page_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    zap_vma_range(m, vma, start, end, NULL)


cdef void unmap_linear(machine* m, vm_area_struct* vma, zap_details* d) noexcept nogil:
    """The part of the VMA that shows the range."""
    cdef uint64_t first = vma.vm_pgoff
    cdef uint64_t last = first + ((vma.vm_end - vma.vm_start) >> m.page_shift) - 1
    if first < d.first_index:
        first = d.first_index
    if last > d.last_index:
        last = d.last_index
    zap_vma_range(m, vma, vma.vm_start + ((first - vma.vm_pgoff) << m.page_shift),
                  vma.vm_start + ((last - vma.vm_pgoff + 1) << m.page_shift), d)


cdef void unmap_mapping_range(machine* m, address_space* a, uint64_t first, uint64_t last, bint even_cows) noexcept nogil:
    cdef zap_details d
    cdef vm_area_struct* vma
    d.check_mapping = NULL if even_cows else a
    d.nonlinear_vma = NULL
    d.first_index = first
    d.last_index = last
    i_mmap_lock(m, a)
    vma = vma_prio_tree_first(a, first, last)
    while vma != NULL:
        unmap_linear(m, vma, &d)
        vma = vma_prio_tree_next(a, vma, first, last)
    vma = a.i_mmap_nonlinear
    while vma != NULL:
        # its pages may be anywhere, and where they were has to be remembered
        d.nonlinear_vma = vma
        zap_vma_range(m, vma, vma.vm_start, vma.vm_end, &d)
        vma = vma.nl_next
    i_mmap_unlock(m, a)


cdef void hide_vma(machine* m, vm_area_struct* vma) noexcept nogil:
    """From the reverse map and from truncation, before its page tables go."""
    unlink_anon_vmas(m, vma)
    vma_unlink_file(m, vma)


cdef void free_pgtables(machine* m, vm_area_struct* vma, uint64_t floor, uint64_t ceiling) noexcept nogil:
    cdef uint64_t leaf_bytes = <uint64_t>1 << m.hw.fmt.level[1].shift
    cdef vm_area_struct* next
    cdef uint64_t start
    cdef mm_struct* mm
    while vma != NULL:
        mm = vma.vm_mm
        start = vma.vm_start
        next = vma.vm_next
        hide_vma(m, vma)
        # neighbours within a leaf table's reach go in one call down
        while next != NULL and next.vm_start <= vma.vm_end + leaf_bytes:
            vma = next
            next = vma.vm_next
            hide_vma(m, vma)
        m.hw.ops.free_pgd_range(&m.hw, &mm.hw, start, vma.vm_end, floor, ceiling if next == NULL else next.vm_start)
        vma = next
