# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Fork's copying of a VMA's entries: write-protected in both where the mapping is private, old in the child.
# Kernel: mm/memory.c (copy_page_range, copy_pte_range, copy_one_pte).
# Differs: a leaf table's entries are copied first and accounted for then; the locks are not dropped every few entries.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport RUN_MAX, rm_likely, rm_prefetch
from rmapemu.hw.pte cimport pte_file, pte_present, pte_to_swp_entry, swp_entry, swp_entry_to_pte, swp_offset, swp_type
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport entry_pfn, is_cow_mapping, plain_entry, plain_entry_init, plain_pfn, vm_normal_page
from rmapemu.mm.mmlist cimport mmlist_add_behind
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start
from rmapemu.mm.swapfile cimport swap_duplicate
from rmapemu.mm.types cimport *

cdef enum:
    AHEAD = 12                  # entries whose struct page is fetched ahead


cdef void migration_read_only(machine* m, mm_struct* dst, mm_struct* src, uint64_t va, uint64_t entry) noexcept nogil:
    """A page that moves while it is forked: neither side may write to it when it arrives."""
    cdef uint64_t e = swp_entry_to_pte(m.hw.fmt, swp_entry(SWP_MIGRATION_READ, swp_offset(entry)))
    m.hw.ops.set_pte(&m.hw, &src.hw, va, m.hw.ops.find_pte(&m.hw, &src.hw, va), e)
    m.hw.ops.set_pte(&m.hw, &dst.hw, va, m.hw.ops.find_pte(&m.hw, &dst.hw, va), e)


cdef int copy_not_present(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil:
    """0, -ENOMEM: the slot's count has no room."""
    cdef uint64_t entry
    if pte_file(m.hw.fmt, e):
        return 0
    entry = pte_to_swp_entry(m.hw.fmt, e)
    if swap_duplicate(m, entry) < 0:
        return -ENOMEM
    mmlist_add_behind(m, dst, src)
    if swp_type(entry) < MAX_SWAPFILES:
        dst.rss_stat[MM_SWAPENTS] += 1
    elif swp_type(entry) == SWP_MIGRATION_WRITE and is_cow_mapping(vma.vm_flags):
        migration_read_only(m, dst, src, va, entry)
    return 0


cdef int account_run(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, uint64_t va, const uint64_t* old,
                     const uint16_t* at, int n) noexcept nogil:
    """References, mapcounts, slots and rss of n copied entries: how many it got through."""
    cdef page* pages = m.pages
    cdef plain_entry plain
    cdef uint32_t pfn
    cdef uint64_t anon = 0
    cdef uint64_t present = 0
    cdef int i
    plain_entry_init(m, &plain)
    for i in range(n):
        if i + AHEAD < n:
            rm_prefetch(pages + entry_pfn(&plain, old[i + AHEAD]))
        pfn = plain_pfn(&plain, old[i])
        if rm_likely(pfn != 0):
            atomic_inc(&pages[pfn].count)
            atomic_inc(&pages[pfn].mapcount)          # page_dup_rmap
            present += 1
            anon += pages[pfn].mapping & PAGE_MAPPING_ANON
        elif pte_present(m.hw.fmt, old[i]):
            vm_normal_page(m, vma, va, old[i])      # none: the zero page; or a bad entry, which it reports
        elif copy_not_present(m, dst, src, vma, va + (<uint64_t>at[i] << m.page_shift), old[i]):
            n = i
            break
    dst.rss_stat[MM_ANONPAGES] += anon
    dst.rss_stat[MM_FILEPAGES] += present - anon
    return n


cdef int copy_pte_range(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, uint64_t va, uint64_t end) noexcept nogil:
    """Within one leaf table: 0, -ENOMEM."""
    cdef uint64_t old[RUN_MAX]
    cdef uint16_t at[RUN_MAX]
    cdef int n, done
    cdef uint64_t* to = m.hw.ops.make_pte(&m.hw, &dst.hw, va)       # before the locks: it may reclaim
    if to == NULL:
        return -ENOMEM
    pte_lock(m, dst, va)
    pte_lock_nested(m, src, va)
    n = m.hw.ops.copy_run(&m.hw, to, &src.hw, va, end, is_cow_mapping(vma.vm_flags), (vma.vm_flags & VM_SHARED) != 0, old, at)
    done = account_run(m, dst, src, vma, va, old, at, n)
    if done < n:
        # the entries behind were copied but have no references: they go again
        m.hw.ops.clear_run(&m.hw, &dst.hw, va + (<uint64_t>at[done] << m.page_shift), end, old, at)
    pte_unlock(m, src)
    pte_unlock(m, dst)
    return 0 if done == n else -ENOMEM


cdef int copy_range(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma) noexcept nogil:
    cdef uint64_t leaf_bytes = <uint64_t>1 << m.hw.fmt.level[1].shift
    cdef uint64_t table_bytes = leaf_bytes << m.hw.fmt.level[1].index_bits
    cdef uint64_t va = vma.vm_start
    cdef uint64_t made = ~<uint64_t>0       # where the child has the upper tables that the parent has
    cdef uint64_t end
    cdef bint has_pmd
    while va < vma.vm_end:
        has_pmd = m.hw.ops.find_pmd(&m.hw, &src.hw, va) != NULL
        if has_pmd and m.hw.ops.find_pte(&m.hw, &src.hw, va) != NULL:
            end = min((va | (leaf_bytes - 1)) + 1, vma.vm_end)
            if copy_pte_range(m, dst, src, vma, va, end):
                return -ENOMEM
        else:
            # nothing to copy below, but pud_alloc and pmd_alloc come before anyone looks
            if va & ~(table_bytes - 1) != made and m.hw.ops.copy_upper(&m.hw, &dst.hw, &src.hw, va):
                return -ENOMEM
            end = min((va | (leaf_bytes - 1)) + 1, vma.vm_end) if has_pmd else (va | (table_bytes - 1)) + 1
        made = va & ~(table_bytes - 1)
        va = end
        if va == 0:
            break
    return 0


cdef int copy_page_range(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, vm_area_struct* dst_vma) noexcept nogil:
    cdef int err
    if not vma.vm_flags & (VM_HUGETLB | VM_NONLINEAR | VM_PFNMAP | VM_INSERTPAGE) and vma.anon_vma == NULL:
        return 0                        # the child's faults find the file's pages again
    # the parent's entries are write-protected, which whoever copies them has to know
    if is_cow_mapping(vma.vm_flags):
        mmu_notifier_invalidate_range_start(m, src, vma.vm_start, vma.vm_end)
    err = copy_range(m, dst, src, vma)
    if is_cow_mapping(vma.vm_flags):
        mmu_notifier_invalidate_range_end(m, src, vma.vm_start, vma.vm_end)
    return err
