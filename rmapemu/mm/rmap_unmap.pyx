# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Taking every mapping of a page away: for swap-out, for migration, and (try_to_munlock) only asking whether one is locked.
# Kernel: mm/rmap.c (v3.2), try_to_unmap_one, try_to_unmap_anon, try_to_unmap_file, try_to_unmap, try_to_munlock.
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.hw.pte cimport pte_dirty, pte_file, pte_write, swp_entry, swp_entry_to_pte, swp_offset
from rmapemu.mm.anon_vma cimport page_lock_anon_vma, page_unlock_anon_vma
from rmapemu.mm.compound cimport PageHuge, PageTransHuge
from rmapemu.mm.filemap cimport set_page_dirty
from rmapemu.mm.ksm cimport try_to_unmap_ksm
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport update_hiwater_rss
from rmapemu.mm.mlock cimport mlock_vma_page
from rmapemu.mm.mmlist cimport mmlist_add
from rmapemu.mm.mmu_notifier cimport ptep_clear_flush_notify, ptep_clear_flush_young_notify
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap cimport *
from rmapemu.mm.rmap_add cimport page_remove_rmap
from rmapemu.mm.rmap_nonlinear cimport try_to_unmap_nonlinear
from rmapemu.mm.swap_slot cimport slot_area, swap_count_has_room
from rmapemu.mm.swapfile cimport swap_duplicate
from rmapemu.mm.types cimport *


cdef uint64_t make_migration_entry(machine* m, uint32_t pfn, bint write) noexcept nogil:
    BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"make_migration_entry")
    return swp_entry(SWP_MIGRATION_WRITE if write else SWP_MIGRATION_READ, pfn)


cdef inline void set_swap_pte(machine* m, mm_struct* mm, uint64_t va, uint64_t* pte, uint64_t entry) noexcept nogil:
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, swp_entry_to_pte(m.hw.fmt, entry))


cdef inline int replace_anon(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, uint64_t* pte, uint64_t pteval,
                             int flags) noexcept nogil:
    """What stands in for an anonymous page's entry: SWAP_AGAIN, or SWAP_FAIL with the old entry back."""
    cdef uint64_t entry
    if m.pages[pfn].flags & PG_swapcache:
        entry = private_to_entry(m.pages[pfn].private)
        if swap_duplicate(m, entry) < 0:
            m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, pteval)
            return SWAP_FAIL
        mmlist_add(m, mm)
        mm.rss_stat[MM_ANONPAGES] -= 1
        mm.rss_stat[MM_SWAPENTS] += 1
    elif m.config.migration:
        BUG_ON(m, (flags & TTU_ACTION_MASK) != TTU_MIGRATION, b"TTU_ACTION(flags) != TTU_MIGRATION", b"try_to_unmap_one")
        entry = make_migration_entry(m, pfn, pte_write(m.hw.fmt, pteval))
    else:
        # page_private as it stands
        entry = private_to_entry(m.pages[pfn].private)
    set_swap_pte(m, mm, va, pte, entry)
    BUG_ON(m, pte_file(m.hw.fmt, pte[0]), b"pte_file(*pte)", b"try_to_unmap_one")
    return SWAP_AGAIN


cdef inline int replace_entry(machine* m, uint32_t pfn, mm_struct* mm, uint64_t va, uint64_t* pte, uint64_t pteval,
                              int flags) noexcept nogil:
    cdef bint anon = PageAnon(&m.pages[pfn])
    if m.pages[pfn].flags & PG_hwpoison and not flags & TTU_IGNORE_HWPOISON:
        mm.rss_stat[MM_ANONPAGES if anon else MM_FILEPAGES] -= 1
        BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"make_hwpoison_entry")
        set_swap_pte(m, mm, va, pte, swp_entry(SWP_HWPOISON, pfn))
        return SWAP_AGAIN
    if anon:
        return replace_anon(m, pfn, mm, va, pte, pteval, flags)
    if m.config.migration and (flags & TTU_ACTION_MASK) == TTU_MIGRATION:
        set_swap_pte(m, mm, va, pte, make_migration_entry(m, pfn, pte_write(m.hw.fmt, pteval)))
    else:
        mm.rss_stat[MM_FILEPAGES] -= 1
    return SWAP_AGAIN


cdef int out_mlock(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil:
    """The VMA looked locked: believe it only under mmap_sem, which may not be waited for here."""
    cdef int ret = SWAP_AGAIN
    if not down_read_trylock(m, vma.vm_mm):
        return SWAP_AGAIN
    if vma.vm_flags & VM_LOCKED:
        mlock_vma_page(m, pfn)
        ret = SWAP_MLOCK
    up_read(m, vma.vm_mm)
    return ret


cdef void huge_tlb_drop(machine* m, mm_struct* mm) noexcept nogil:
    """flush_tlb_page of any address of a huge page drops all of its translation: here one per small page, so all of the mm's go."""
    cdef uint64_t counted = m.hw.cost.tlb_flush_mm
    m.hw.ops.flush_tlb_mm(&m.hw, &mm.hw)
    m.hw.cost.tlb_flush_mm = counted


cdef inline int unmap_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int flags) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t* pte = page_check_address(m, pfn, mm, va, &vma.leaf, False)
    cdef uint64_t pteval
    cdef int ret = SWAP_AGAIN
    if pte == NULL:
        return ret
    if not flags & TTU_IGNORE_MLOCK:
        if vma.vm_flags & VM_LOCKED:
            pte_unlock(m, mm)
            return out_mlock(m, pfn, vma)
        if (flags & TTU_ACTION_MASK) == TTU_MUNLOCK:
            pte_unlock(m, mm)
            return ret
    if not flags & TTU_IGNORE_ACCESS and ptep_clear_flush_young_notify(m, mm, va, pte):
        pte_unlock(m, mm)
        return SWAP_FAIL
    m.hw.cost.cache_flush_page += 1
    pteval = ptep_clear_flush_notify(m, mm, va, pte)
    # the entry is gone: its dirty bit lives on in the page
    if pte_dirty(m.hw.fmt, pteval):
        set_page_dirty(m, pfn)
    if rm_unlikely(m.pages[pfn].flags & PG_huge):
        huge_tlb_drop(m, mm)
    update_hiwater_rss(mm)
    ret = replace_entry(m, pfn, mm, va, pte, pteval, flags)
    if ret == SWAP_AGAIN:
        page_remove_rmap(m, pfn)
        put_page(m, pfn)
    pte_unlock(m, mm)
    return ret


cdef int try_to_unmap_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int flags) noexcept nogil:
    return unmap_one(m, pfn, vma, va, flags)


cdef int walk_anon(machine* m, uint32_t pfn, anon_vma_chain* avc, int flags) noexcept nogil:
    """try_to_unmap_anon under its lock, from a link of the chain on."""
    cdef uint64_t va
    cdef int ret = SWAP_AGAIN
    while avc != NULL:
        m.hw.cost.vmas_visited += 1
        # exec moves its stack without the page tables under this lock: migration keeps away from it
        if not (m.config.migration and flags & TTU_MIGRATION and is_vma_temporary_stack(avc.vma)):
            va = vma_address(m, pfn, avc.vma)
            if va != <uint64_t>VMA_EFAULT:
                ret = unmap_one(m, pfn, avc.vma, va, flags)
                if ret != SWAP_AGAIN or not page_mapped(m, pfn):
                    break
        avc = avc.next
    return ret


cdef int try_to_unmap_anon(machine* m, uint32_t pfn, int flags) noexcept nogil:
    cdef anon_vma* av = page_lock_anon_vma(m, pfn)
    cdef int ret
    if av == NULL:
        return SWAP_AGAIN
    ret = walk_anon(m, pfn, av.head, flags)
    page_unlock_anon_vma(m, av)
    return ret


cdef int rest_of_walk(machine* m, uint32_t pfn, anon_vma* av, anon_vma_chain* avc) noexcept nogil:
    """A plain walk has met what is not: from here on under the anon_vma's lock, which is counted already."""
    cdef int ret
    m.hw.cost.locks[LOCK_ANON_VMA] -= 1
    # as page_lock_anon_vma takes it
    mutex_trylock(m, &av.root.lock, LOCK_ANON_VMA, av.root)
    ret = walk_anon(m, pfn, avc, TTU_UNMAP)
    anon_vma_unlock(m, av)
    return ret


cdef inline void plain_swapped_out(machine* m, uint32_t pfn, mm_struct* mm, uint64_t old) noexcept nogil:
    """try_to_unmap_one after the entry of a page in the swap cache was replaced."""
    m.hw.cost.cache_flush_page += 1
    if pte_dirty(m.hw.fmt, old):
        set_page_dirty(m, pfn)
    update_hiwater_rss(mm)
    mmlist_add(m, mm)
    mm.rss_stat[MM_ANONPAGES] -= 1
    mm.rss_stat[MM_SWAPENTS] += 1
    page_remove_rmap(m, pfn)
    put_page(m, pfn)


cdef inline int plain_unmap_anon(machine* m, uint32_t pfn, anon_vma* av) noexcept nogil:
    """try_to_unmap_anon(TTU_UNMAP) of a page in the swap cache where plain_walks holds: nothing is noted that nobody can see."""
    cdef page* p = &m.pages[pfn]
    cdef anon_vma_chain* avc = av.head
    cdef vm_area_struct* vma
    cdef uint64_t entry = private_to_entry(m.pages[pfn].private)
    cdef swap_info_struct* si = slot_area(m, entry)
    cdef uint8_t* count
    cdef uint64_t offset, old = 0
    cdef int seen
    if rm_unlikely(si == NULL):
        return try_to_unmap_anon(m, pfn, TTU_UNMAP)
    count = &si.swap_map[swp_offset(entry)]
    m.hw.cost.rcu_read_lock += 1
    m.hw.cost.locks[LOCK_ANON_VMA] += 1
    while avc != NULL:
        vma = avc.vma
        if rm_unlikely(vma.vm_flags & (VM_LOCKED | VM_HUGETLB)) or not swap_count_has_room(count[0]):
            return rest_of_walk(m, pfn, av, avc)
        m.hw.cost.vmas_visited += 1
        # vma_address
        offset = (p.index - vma.vm_pgoff) << m.page_shift
        if offset < vma.vm_end - vma.vm_start:
            seen = m.hw.ops.swap_out_old(&m.hw, &vma.vm_mm.hw, vma.vm_start + offset, pfn, entry, &old)
            if seen != -1:
                m.hw.cost.locks[LOCK_PTL] += 1
            if seen == 1:
                return SWAP_FAIL
            if seen == 0:
                # swap_duplicate
                m.hw.cost.locks[LOCK_SWAP] += 1
                count[0] += 1
                plain_swapped_out(m, pfn, vma.vm_mm, old)
                if p.mapcount <= 0:
                    break
        avc = avc.next
    return SWAP_AGAIN


cdef inline bint plain_swap_out(machine* m, const page* p) noexcept nogil:
    """An anonymous page in the swap cache, neither huge nor poisoned, of an anon_vma."""
    return (plain_walks(m) and plain_page(p) and (p.flags & (PG_swapcache | PG_hwpoison)) == PG_swapcache
            and page_anon_vma(m, p) != NULL and p.mapcount > 0)


cdef int try_to_unmap_linear(machine* m, address_space* mapping, uint32_t pfn, uint64_t pgoff, int flags, bint* done) noexcept nogil:
    """The VMAs that map the page where its index says; *done: the nonlinear ones need not be looked at."""
    cdef vm_area_struct* vma = vma_prio_tree_first(mapping, pgoff, pgoff)
    cdef uint64_t va
    cdef int ret = SWAP_AGAIN
    while vma != NULL:
        m.hw.cost.vmas_visited += 1
        va = vma_address(m, pfn, vma)
        if va != <uint64_t>VMA_EFAULT:
            ret = unmap_one(m, pfn, vma, va, flags)
            if ret != SWAP_AGAIN or not page_mapped(m, pfn):
                done[0] = True
                return ret
        vma = vma_prio_tree_next(mapping, vma, pgoff, pgoff)
    return ret


cdef int try_to_unmap_file(machine* m, uint32_t pfn, int flags) noexcept nogil:
    cdef address_space* mapping = page_file_mapping(m, &m.pages[pfn])
    cdef uint64_t pgoff = m.pages[pfn].index    # which VMAs are visited is settled before the lock is had
    cdef bint done = False
    cdef int ret
    if mapping == NULL:
        kernel_bug(m, BUG_OOPS, b"page->mapping", b"try_to_unmap_file")
    i_mmap_lock(m, mapping)
    ret = try_to_unmap_linear(m, mapping, pfn, pgoff, flags, &done)
    # munlock leaves nonlinear VMAs to reclaim, which recovers PG_mlocked lazily
    if not done and mapping.i_mmap_nonlinear != NULL and (flags & TTU_ACTION_MASK) != TTU_MUNLOCK:
        ret = try_to_unmap_nonlinear(m, mapping, pfn, ret)
    i_mmap_unlock(m, mapping)
    return ret


cdef int try_to_unmap(machine* m, uint32_t pfn, int flags) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int ret
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"try_to_unmap")
    VM_BUG_ON(m, p.flags & (PG_head | PG_tail) and not PageHuge(m, pfn) and PageTransHuge(m, pfn),
              b"!PageHuge(page) && PageTransHuge(page)", b"try_to_unmap")
    m.hw.cost.rmap_walks += 1
    if rm_likely(flags == TTU_UNMAP and plain_swap_out(m, p)):
        ret = plain_unmap_anon(m, pfn, page_anon_vma(m, p))
    elif PageKsm(p):
        ret = try_to_unmap_ksm(m, pfn, flags)
    elif PageAnon(p):
        ret = try_to_unmap_anon(m, pfn, flags)
    else:
        ret = try_to_unmap_file(m, pfn, flags)
    if ret != SWAP_MLOCK and not page_mapped(m, pfn):
        ret = SWAP_SUCCESS
    return ret


cdef int try_to_munlock(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, not p.flags & PG_locked or p.flags & PG_lru, b"!PageLocked(page) || PageLRU(page)", b"try_to_munlock")
    m.hw.cost.rmap_walks += 1
    if PageKsm(p):
        return try_to_unmap_ksm(m, pfn, TTU_MUNLOCK)
    if PageAnon(p):
        return try_to_unmap_anon(m, pfn, TTU_MUNLOCK)
    return try_to_unmap_file(m, pfn, TTU_MUNLOCK)
