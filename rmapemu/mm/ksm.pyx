# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Walks over the places of a KSM page: first where each rmap_item was merged, then forks made since.
# Kernel: mm/ksm.c (v3.2), page_referenced_ksm, try_to_unmap_ksm, rmap_walk_ksm. The trees and ksmd are not here yet.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.lock cimport *
from rmapemu.mm.memcontrol cimport mm_match_cgroup
from rmapemu.mm.rmap cimport page_mapped, SWAP_AGAIN, SWAP_FAIL
from rmapemu.mm.rmap_referenced cimport page_referenced_one
from rmapemu.mm.rmap_unmap cimport try_to_unmap_one
from rmapemu.mm.types cimport *

cdef enum:
    WALK_ON = 0                 # the next VMA
    WALK_NEXT_ITEM = 1          # the next rmap_item
    WALK_STOP = 2

cdef struct ksm_walk:           # what one walk carries along
    uint32_t memcg
    uint32_t mapcount           # left to look for, 0 ends the walk; 1 where it does not matter
    uint64_t* vm_flags
    int flags
    int result
    rmap_one_t rmap_one
    void* arg

ctypedef int (*visit_t)(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, bint new_forks, ksm_walk* w) noexcept nogil


cdef stable_node* page_stable_node(machine* m, const page* p) noexcept nogil:
    if not PageKsm(p) or p.mapping >> PAGE_MAPPING_SHIFT == 0:
        return NULL
    return <stable_node*>m.kmem[KMEM_STABLE_NODE].base + (p.mapping >> PAGE_MAPPING_SHIFT)


cdef int walk_item(machine* m, uint32_t pfn, rmap_item* item, bint new_forks, visit_t visit, ksm_walk* w) noexcept nogil:
    """The VMAs of one rmap_item's anon_vma that cover its address: its own mm's, or (new_forks) all the others."""
    cdef anon_vma_chain* avc
    cdef int how = WALK_ON
    anon_vma_lock(m, item.anon_vma)
    avc = item.anon_vma.head
    while avc != NULL and how == WALK_ON:
        m.hw.cost.vmas_visited += 1
        if avc.vma.vm_start <= item.address < avc.vma.vm_end and (item.mm == avc.vma.vm_mm) != new_forks:
            how = visit(m, pfn, avc.vma, item.address, new_forks, w)
        avc = avc.next
    anon_vma_unlock(m, item.anon_vma)
    return how


cdef void walk_ksm(machine* m, uint32_t pfn, visit_t visit, ksm_walk* w, const char* function) noexcept nogil:
    cdef stable_node* node
    cdef rmap_item* item
    cdef int new_forks
    VM_BUG_ON(m, not PageKsm(&m.pages[pfn]), b"!PageKsm(page)", function)
    VM_BUG_ON(m, not m.pages[pfn].flags & PG_locked, b"!PageLocked(page)", function)
    node = page_stable_node(m, &m.pages[pfn])
    if node == NULL:
        return
    for new_forks in range(2):
        item = node.hlist
        while item != NULL:
            if walk_item(m, pfn, item, new_forks, visit, w) == WALK_STOP or w.mapcount == 0:
                return
            item = item.next


# ---------------------------------------------------------------- page_referenced
cdef int visit_referenced(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, bint new_forks, ksm_walk* w) noexcept nogil:
    if w.memcg and not mm_match_cgroup(vma.vm_mm, w.memcg):
        return WALK_ON
    w.result += page_referenced_one(m, pfn, vma, va, &w.mapcount, w.vm_flags)
    if w.mapcount == 0:
        return WALK_STOP
    return WALK_ON if new_forks else WALK_NEXT_ITEM


cdef int page_referenced_ksm(machine* m, uint32_t pfn, uint32_t memcg, uint64_t* vm_flags) noexcept nogil:
    cdef ksm_walk w
    w.memcg = memcg
    w.mapcount = m.pages[pfn].mapcount
    w.vm_flags = vm_flags
    w.result = 0
    walk_ksm(m, pfn, visit_referenced, &w, b"page_referenced_ksm")
    return w.result


# ---------------------------------------------------------------- try_to_unmap
cdef int visit_unmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, bint new_forks, ksm_walk* w) noexcept nogil:
    w.result = try_to_unmap_one(m, pfn, vma, va, w.flags)
    return WALK_STOP if w.result != SWAP_AGAIN or not page_mapped(m, pfn) else WALK_ON


cdef int try_to_unmap_ksm(machine* m, uint32_t pfn, int flags) noexcept nogil:
    cdef ksm_walk w
    w.mapcount = 1
    w.flags = flags
    w.result = SWAP_AGAIN
    if page_stable_node(m, &m.pages[pfn]) == NULL:
        w.result = SWAP_FAIL
    walk_ksm(m, pfn, visit_unmap, &w, b"try_to_unmap_ksm")
    return w.result


# ---------------------------------------------------------------- rmap_walk
cdef int visit_walk(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, bint new_forks, ksm_walk* w) noexcept nogil:
    w.result = w.rmap_one(m, pfn, vma, va, w.arg)
    return WALK_STOP if w.result != SWAP_AGAIN else WALK_ON


cdef int rmap_walk_ksm(machine* m, uint32_t pfn, rmap_one_t rmap_one, void* arg) noexcept nogil:
    cdef ksm_walk w
    w.mapcount = 1
    w.rmap_one = rmap_one
    w.arg = arg
    w.result = SWAP_AGAIN
    walk_ksm(m, pfn, visit_walk, &w, b"rmap_walk_ksm")
    return w.result
