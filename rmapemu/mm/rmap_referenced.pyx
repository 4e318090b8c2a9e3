# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Was the page used since last asked? Every mapping is asked, and its accessed bit cleared.
# Kernel: mm/rmap.c (v3.2), page_referenced_one to page_referenced; page_check_address_pmd of mm/huge_memory.c.
# Without foreign locks the entry is looked up and cleared in one operation of the arch; counts are the same.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.hw.pte cimport pte_mkold, pte_pfn, pte_special, pte_young
from rmapemu.mm.anon_vma cimport page_lock_anon_vma, page_unlock_anon_vma
from rmapemu.mm.compound cimport PageTransHuge
from rmapemu.mm.ksm cimport page_referenced_ksm
from rmapemu.mm.lock cimport *
from rmapemu.mm.memcontrol cimport mm_match_cgroup
from rmapemu.mm.mmu_notifier cimport mmu_notifier_clear_flush_young, ptep_clear_flush_young_notify
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap cimport page_check_address, plain_page, plain_walks, vma_address, VMA_EFAULT
from rmapemu.mm.types cimport *


# ---------------------------------------------------------------- huge entries
cdef uint64_t* page_check_address_pmd(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, int flag) noexcept nogil:
    """The level-1 entry that maps the huge page at va; NULL: it is not mapped so. flag: PAGE_CHECK_ADDRESS_PMD_*. A huge entry that
    is being split has the bit of a special leaf entry, as on x86."""
    cdef uint64_t* pmd
    if va & ((<uint64_t>1 << m.hw.fmt.level[1].shift) - 1):
        return NULL
    pmd = m.hw.ops.find_pmd(&m.hw, &mm.hw, va)
    if pmd == NULL:
        return NULL
    m.hw.cost.ptes_examined += 1
    if not m.hw.ops.pmd_huge(&m.hw, pmd[0]) or pte_pfn(m.hw.fmt, pmd[0] & m.hw.fmt.level[1].huge_pa_mask) != pfn:
        return NULL
    if flag == PAGE_CHECK_ADDRESS_PMD_NOTSPLITTING_FLAG and pte_special(m.hw.fmt, pmd[0]):
        return NULL
    VM_BUG_ON(m, flag == PAGE_CHECK_ADDRESS_PMD_SPLITTING_FLAG and not pte_special(m.hw.fmt, pmd[0]),
              b"flag == PAGE_CHECK_ADDRESS_PMD_SPLITTING_FLAG && !pmd_trans_splitting(*pmd)", b"page_check_address_pmd")
    m.hw.cost.ptes_matched += 1
    return pmd


cdef int huge_clear_flush_young(machine* m, mm_struct* mm, uint64_t va, uint64_t* pmd) noexcept nogil:
    """pmdp_clear_flush_young_notify."""
    cdef bint young = pte_young(m.hw.fmt, pmd[0])
    if young:
        pmd[0] = pte_mkold(m.hw.fmt, pmd[0])
        m.hw.cost.ptes_written += 1
        m.hw.cost.young_cleared += 1
        m.hw.ops.flush_tlb_range(&m.hw, &mm.hw, va, va + (<uint64_t>1 << m.hw.fmt.level[1].shift))
    return (young | mmu_notifier_clear_flush_young(m, mm, va)) != 0


cdef int huge_referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    """-1 not mapped here, -2 mapped in a locked VMA, else the old young bit."""
    cdef uint64_t* pmd
    cdef int ret = -1
    page_table_lock(m, vma.vm_mm)
    pmd = page_check_address_pmd(m, pfn, vma.vm_mm, va, PAGE_CHECK_ADDRESS_PMD_FLAG)
    if pmd != NULL:
        ret = -2 if vma.vm_flags & VM_LOCKED else huge_clear_flush_young(m, vma.vm_mm, va, pmd)
    pte_unlock(m, vma.vm_mm)
    return ret


# ---------------------------------------------------------------- entries
cdef int locked_referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    """The same for a pte."""
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t* pte = page_check_address(m, pfn, mm, va, &vma.leaf, False)
    cdef int ret
    if pte == NULL:
        return -1
    ret = -2 if vma.vm_flags & VM_LOCKED else ptep_clear_flush_young_notify(m, mm, va, pte) != 0
    pte_unlock(m, mm)
    return ret


cdef int referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, uint32_t* mapcount,
                               uint64_t* vm_flags) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef bint huge = PageTransHuge(m, pfn)
    cdef int referenced = huge_referenced_one(m, pfn, vma, va) if huge else locked_referenced_one(m, pfn, vma, va)
    if referenced == -1:
        return 0
    if referenced == -2:
        # a locked mapping decides: stop the walk
        mapcount[0] = 0
        vm_flags[0] |= VM_LOCKED
        return 0
    # a page read once by a sequential reader is not in use for that
    if not huge and (vma.vm_flags & (VM_SEQ_READ | VM_RAND_READ)) == VM_SEQ_READ:
        referenced = 0
    if mm == m.swap_token_mm and mm != m.current and rwsem_is_locked(mm):
        referenced += 1
    mapcount[0] -= 1
    if referenced:
        vm_flags[0] |= vma.vm_flags
    return referenced


cdef inline int plain_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, uint64_t* vm_flags) noexcept nogil:
    """page_referenced_one of a VMA neither locked nor read in sequence, in one operation of the arch: the old young bit, -1 where the
    page is not mapped. The page table lock is taken once an entry is present, its own page's or not."""
    cdef int young = m.hw.ops.referenced(&m.hw, &vma.vm_mm.hw, va, pfn, &vma.leaf)
    if rm_unlikely(young < 0):
        # what is found is counted by the arch, as one of plain_hits
        m.hw.cost.vmas_visited += 1
        m.hw.cost.locks[LOCK_PTL] += young == -2
        return -1
    if young:
        vm_flags[0] |= vma.vm_flags
    return young


cdef int page_referenced_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, uint32_t* mapcount,
                             uint64_t* vm_flags) noexcept nogil:
    return referenced_one(m, pfn, vma, va, mapcount, vm_flags)


# ---------------------------------------------------------------- walks
cdef int walk_anon(machine* m, uint32_t pfn, anon_vma_chain* avc, uint32_t mapcount, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    """page_referenced_anon under its lock, from a link of the chain on."""
    cdef uint64_t va
    cdef int referenced = 0
    while avc != NULL:
        m.hw.cost.vmas_visited += 1
        va = vma_address(m, pfn, avc.vma)
        if va != <uint64_t>VMA_EFAULT and (memcg == 0 or mm_match_cgroup(avc.vma.vm_mm, memcg)):
            referenced += referenced_one(m, pfn, avc.vma, va, &mapcount, vm_flags)
            if mapcount == 0:
                break
        avc = avc.next
    return referenced


cdef int page_referenced_anon(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    cdef anon_vma* av = page_lock_anon_vma(m, pfn)
    cdef int referenced
    if av == NULL:
        return 0
    referenced = walk_anon(m, pfn, av.head, m.pages[pfn].mapcount, memcg, vm_flags)
    page_unlock_anon_vma(m, av)
    return referenced


cdef int rest_of_walk(machine* m, uint32_t pfn, anon_vma* av, anon_vma_chain* avc, int mapcount, uint64_t* vm_flags) noexcept nogil:
    """A plain walk has met a VMA that is not: from here on under the anon_vma's lock, which is counted already."""
    cdef int referenced
    m.hw.cost.locks[LOCK_ANON_VMA] -= 1
    # as page_lock_anon_vma takes it: it is free, and a trylock may come under another tree's lock
    mutex_trylock(m, &av.root.lock, LOCK_ANON_VMA, av.root)
    referenced = walk_anon(m, pfn, avc, mapcount, 0, vm_flags)
    anon_vma_unlock(m, av)
    return referenced


cdef inline int plain_referenced_anon(machine* m, uint32_t pfn, anon_vma* av, uint64_t* vm_flags) noexcept nogil:
    """page_referenced_anon where plain_walks holds, with half of its instructions: nothing is noted that nobody can see."""
    cdef const page* p = &m.pages[pfn]
    cdef anon_vma_chain* avc = av.head
    cdef vm_area_struct* vma
    cdef uint64_t offset
    cdef int left = p.mapcount
    cdef int young, referenced = 0
    m.hw.cost.plain_walks += 1
    while avc != NULL:
        vma = avc.vma
        if rm_unlikely(vma.vm_flags & (VM_LOCKED | VM_SEQ_READ | VM_HUGETLB)):
            return referenced + rest_of_walk(m, pfn, av, avc, left, vm_flags)
        # vma_address
        offset = (p.index - vma.vm_pgoff) << m.page_shift
        if rm_unlikely(offset >= vma.vm_end - vma.vm_start):
            m.hw.cost.vmas_visited += 1
        else:
            young = plain_one(m, pfn, vma, vma.vm_start + offset, vm_flags)
            if young >= 0:
                referenced += young
                left -= 1
                if left == 0:
                    break
        avc = avc.next
    return referenced


cdef int page_referenced_file(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    cdef address_space* mapping = page_file_mapping(m, &m.pages[pfn])
    cdef uint64_t pgoff = m.pages[pfn].index
    cdef vm_area_struct* vma
    cdef uint32_t mapcount
    cdef uint64_t va
    cdef int referenced = 0
    BUG_ON(m, PageAnon(&m.pages[pfn]), b"PageAnon(page)", b"page_referenced_file")
    BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"page_referenced_file")
    if mapping == NULL:
        kernel_bug(m, BUG_OOPS, b"page->mapping is NULL", b"page_referenced_file")
    i_mmap_lock(m, mapping)
    mapcount = m.pages[pfn].mapcount
    vma = vma_prio_tree_first(mapping, pgoff, pgoff)
    while vma != NULL:
        m.hw.cost.vmas_visited += 1
        va = vma_address(m, pfn, vma)
        if va != <uint64_t>VMA_EFAULT and (memcg == 0 or mm_match_cgroup(vma.vm_mm, memcg)):
            referenced += referenced_one(m, pfn, vma, va, &mapcount, vm_flags)
            if mapcount == 0:
                break
        vma = vma_prio_tree_next(mapping, vma, pgoff, pgoff)
    i_mmap_unlock(m, mapping)
    return referenced


cdef int referenced_other(machine* m, uint32_t pfn, int is_locked, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    """File and KSM pages: their mappings are held still by the page lock. -1: someone else has it."""
    cdef bint we_locked = False
    cdef int referenced
    if not is_locked:
        we_locked = trylock_page(m, pfn)
        if not we_locked:
            return -1
    m.hw.cost.rmap_walks += 1
    if PageKsm(&m.pages[pfn]):
        referenced = page_referenced_ksm(m, pfn, memcg, vm_flags)
    else:
        referenced = page_referenced_file(m, pfn, memcg, vm_flags)
    if we_locked:
        unlock_page(m, pfn)
    return referenced


cdef int page_referenced(machine* m, uint32_t pfn, int is_locked, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    cdef const page* p = &m.pages[pfn]
    cdef anon_vma* av
    cdef int referenced
    vm_flags[0] = 0
    # page_rmapping: a page in the swap cache without a mapping of its own has none, nor has a KSM page without its stable node
    if p.mapcount <= 0 or p.mapping >> PAGE_MAPPING_SHIFT == 0:
        return 0
    if rm_likely(p.mapping & PAGE_MAPPING_FLAGS == PAGE_MAPPING_ANON):
        av = page_anon_vma(m, p)
        if rm_likely(memcg == 0 and plain_walks(m) and plain_page(p)):
            referenced = plain_referenced_anon(m, pfn, av, vm_flags)
        else:
            m.hw.cost.rmap_walks += 1
            referenced = page_referenced_anon(m, pfn, memcg, vm_flags)
    else:
        referenced = referenced_other(m, pfn, is_locked, memcg, vm_flags)
        if referenced < 0:
            return 1
    if m.hw.skey != NULL and m.hw.ops.page_test_and_clear_young(&m.hw, pfn):
        referenced += 1
    return referenced
