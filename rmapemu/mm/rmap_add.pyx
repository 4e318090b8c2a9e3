# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Adding and removing mappings of a page: mapcount, mapping, index, and the counters that follow the first and the last one.
# Kernel: mm/rmap.c (v3.2), page_move_anon_rmap to page_remove_rmap, and the three hugepage functions at its end.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.atomic cimport atomic_dec, atomic_inc
from rmapemu.mm.compound cimport PageHuge, PageTransHuge
from rmapemu.mm.filemap cimport set_page_dirty
from rmapemu.mm.lock cimport *
from rmapemu.mm.memcontrol cimport mem_cgroup_dec_page_stat, mem_cgroup_inc_page_stat, mem_cgroup_uncharge_page
from rmapemu.mm.swap_lru cimport add_page_to_unevictable_list, lru_cache_add_lru
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan cimport page_evictable


cdef inline int anon_item(machine* m, uint32_t pfn) noexcept nogil:
    """The zone counter of anonymous pages that this one belongs to (PageTransHuge: any head page, where THP is configured)."""
    if rm_unlikely(m.pages[pfn].flags & (PG_head | PG_tail)) and PageTransHuge(m, pfn):
        return NR_ANON_TRANSPARENT_HUGEPAGES
    return NR_ANON_PAGES


cdef void page_move_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    """After a COW fault that found the page exclusive: walks need not visit relatives any more."""
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"page_move_anon_rmap")
    VM_BUG_ON(m, vma.anon_vma == NULL, b"!anon_vma", b"page_move_anon_rmap")
    VM_BUG_ON(m, p.index != linear_page_index(m, vma, va), b"page->index != linear_page_index(vma, address)", b"page_move_anon_rmap")
    # without CONFIG_DEBUG_VM a VMA without an anon_vma goes unnoticed here, and the next walk follows NULL
    p.mapping = anon_vma_to_mapping(m, vma.anon_vma) if vma.anon_vma != NULL else PAGE_MAPPING_ANON


cdef inline void set_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive,
                               const char* function) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef anon_vma* av = vma.anon_vma
    BUG_ON(m, av == NULL, b"!anon_vma", function)
    if PageAnon(p):
        return
    # a page that others may map too belongs to the oldest anon_vma, where all of them are found
    if not exclusive:
        av = av.root
    p.mapping = anon_vma_to_mapping(m, av)
    p.index = linear_page_index(m, vma, va)


cdef void __page_set_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil:
    set_anon_rmap(m, pfn, vma, va, exclusive, b"__page_set_anon_rmap")


cdef void __page_check_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    cdef anon_vma* av
    if not m.config.debug_vm:
        return
    av = page_anon_vma(m, &m.pages[pfn])
    if av == NULL or vma.anon_vma == NULL:
        kernel_bug(m, BUG_OOPS, b"page_anon_vma(page)->root, vma->anon_vma->root", b"__page_check_anon_rmap")
    BUG_ON(m, av.root != vma.anon_vma.root, b"page_anon_vma(page)->root != vma->anon_vma->root", b"__page_check_anon_rmap")
    BUG_ON(m, m.pages[pfn].index != linear_page_index(m, vma, va), b"page->index != linear_page_index(vma, address)",
           b"__page_check_anon_rmap")


cdef void page_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    do_page_add_anon_rmap(m, pfn, vma, va, 0)


cdef void do_page_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    atomic_inc(&p.mapcount)
    if p.mapcount == 1:
        inc_zone_page_state(m, pfn, anon_item(m, pfn))
    if PageKsm(p):
        return
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"do_page_add_anon_rmap")
    if p.mapcount == 1:
        __page_set_anon_rmap(m, pfn, vma, va, exclusive)
    else:
        __page_check_anon_rmap(m, pfn, vma, va)


cdef void page_add_new_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, va < vma.vm_start or va >= vma.vm_end, b"address < vma->vm_start || address >= vma->vm_end", b"page_add_new_anon_rmap")
    p.flags |= PG_swapbacked
    p.mapcount = 1
    inc_zone_page_state(m, pfn, anon_item(m, pfn))
    __page_set_anon_rmap(m, pfn, vma, va, 1)
    if page_evictable(m, pfn, vma):
        lru_cache_add_lru(m, pfn, LRU_ACTIVE_ANON)
    else:
        add_page_to_unevictable_list(m, pfn)


cdef void page_add_file_rmap(machine* m, uint32_t pfn) noexcept nogil:
    atomic_inc(&m.pages[pfn].mapcount)
    if m.pages[pfn].mapcount == 1:
        inc_zone_page_state(m, pfn, NR_FILE_MAPPED)
        mem_cgroup_inc_page_stat(m, pfn)


cdef void page_remove_rmap(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    atomic_dec(&p.mapcount)
    if p.mapcount > 0:
        return
    # the last entry is gone: a dirty bit that lives in the storage key moves to the page, unless the page is about to be freed
    if m.hw.skey != NULL and (not PageAnon(p) or p.flags & PG_swapcache) and m.hw.ops.page_test_and_clear_dirty(&m.hw, pfn, 1):
        set_page_dirty(m, pfn)
    if PageHuge(m, pfn):
        return
    if PageAnon(p):
        mem_cgroup_uncharge_page(m, pfn)
        dec_zone_page_state(m, pfn, anon_item(m, pfn))
    else:
        dec_zone_page_state(m, pfn, NR_FILE_MAPPED)
        mem_cgroup_dec_page_stat(m, pfn)


# ---------------------------------------------------------------- hugetlb: no counters, no lists
cdef void __hugepage_set_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, int exclusive) noexcept nogil:
    set_anon_rmap(m, pfn, vma, va, exclusive, b"__hugepage_set_anon_rmap")


cdef void hugepage_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", b"hugepage_add_anon_rmap")
    BUG_ON(m, vma.anon_vma == NULL, b"!anon_vma", b"hugepage_add_anon_rmap")
    atomic_inc(&m.pages[pfn].mapcount)
    if m.pages[pfn].mapcount == 1:
        __hugepage_set_anon_rmap(m, pfn, vma, va, 0)


cdef void hugepage_add_new_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va) noexcept nogil:
    BUG_ON(m, va < vma.vm_start or va >= vma.vm_end, b"address < vma->vm_start || address >= vma->vm_end", b"hugepage_add_new_anon_rmap")
    m.pages[pfn].mapcount = 1
    __hugepage_set_anon_rmap(m, pfn, vma, va, 1)
