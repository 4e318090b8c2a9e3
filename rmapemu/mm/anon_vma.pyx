# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Linking: which anon_vmas a VMA belongs to, and how a page's anon_vma is held still.
# Kernel: mm/rmap.c (v3.2), anon_vma_alloc to page_unlock_anon_vma, __put_anon_vma. rcu_read_lock is counted only: a freed
# anon_vma keeps its bytes (type-stable slab), which is what RCU is needed for there.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t
from rmapemu.mm.kmem cimport kmem_cache_alloc, kmem_cache_free
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmap cimport find_mergeable_anon_vma
from rmapemu.mm.rmap cimport page_mapped
from rmapemu.mm.types cimport *

cdef enum:
    WARN_ANON_VMA_ROOT = 0      # site of lock_anon_vma_root's WARN_ON_ONCE


# ---------------------------------------------------------------- objects
cdef void anon_vma_ctor(anon_vma* av) noexcept nogil:
    """All zero, as fresh memory of the arena is: the slab needs not run it."""
    av.lock = LOCK_FREE
    av.refcount = 0
    av.head = NULL
    av.tail = NULL


cdef anon_vma* anon_vma_alloc(machine* m) noexcept nogil:
    cdef anon_vma* av = <anon_vma*>kmem_cache_alloc(m, KMEM_ANON_VMA, GFP_KERNEL)
    if av != NULL:
        av.refcount = 1
        av.root = av
        av.serial = <uint32_t>m.kmem[KMEM_ANON_VMA].allocated
    return av


cdef void anon_vma_free(machine* m, anon_vma* av) noexcept nogil:
    VM_BUG_ON(m, av.refcount != 0, b"atomic_read(&anon_vma->refcount)", b"anon_vma_free")
    # whoever looked the page up and got the lock must have left before the memory goes
    if av.root.lock != LOCK_FREE:
        anon_vma_lock(m, av)
        anon_vma_unlock(m, av)
    kmem_cache_free(m, KMEM_ANON_VMA, av)


cdef anon_vma_chain* anon_vma_chain_alloc(machine* m, uint32_t gfp) noexcept nogil:
    return <anon_vma_chain*>kmem_cache_alloc(m, KMEM_AVC, gfp)


cdef void anon_vma_chain_free(machine* m, anon_vma_chain* avc) noexcept nogil:
    kmem_cache_free(m, KMEM_AVC, avc)


cdef void __put_anon_vma(machine* m, anon_vma* av) noexcept nogil:
    cdef anon_vma* root = av.root
    if root != av:
        root.refcount -= 1
        if root.refcount == 0:
            anon_vma_free(m, root)
    anon_vma_free(m, av)


cdef void put_anon_vma(machine* m, anon_vma* av) noexcept nogil:
    av.refcount -= 1
    if av.refcount == 0:
        __put_anon_vma(m, av)


# ---------------------------------------------------------------- the two lists that an anon_vma_chain is on
cdef void same_vma_add(vm_area_struct* vma, anon_vma_chain* avc) noexcept nogil:
    """list_add: newest first."""
    avc.same_vma_prev = NULL
    avc.same_vma_next = vma.avc_head
    if vma.avc_head != NULL:
        vma.avc_head.same_vma_prev = avc
    else:
        vma.avc_tail = avc
    vma.avc_head = avc


cdef void same_vma_del(vm_area_struct* vma, anon_vma_chain* avc) noexcept nogil:
    if avc.same_vma_prev != NULL:
        avc.same_vma_prev.same_vma_next = avc.same_vma_next
    else:
        vma.avc_head = avc.same_vma_next
    if avc.same_vma_next != NULL:
        avc.same_vma_next.same_vma_prev = avc.same_vma_prev
    else:
        vma.avc_tail = avc.same_vma_prev


cdef void same_anon_vma_add_tail(anon_vma* av, anon_vma_chain* avc) noexcept nogil:
    avc.next = NULL
    avc.prev = av.tail
    if av.tail != NULL:
        av.tail.next = avc
    else:
        av.head = avc
    av.tail = avc


cdef void same_anon_vma_del(anon_vma* av, anon_vma_chain* avc) noexcept nogil:
    if avc.prev != NULL:
        avc.prev.next = avc.next
    else:
        av.head = avc.next
    if avc.next != NULL:
        avc.next.prev = avc.prev
    else:
        av.tail = avc.prev


cdef void anon_vma_chain_link(machine* m, vm_area_struct* vma, anon_vma_chain* avc, anon_vma* av) noexcept nogil:
    """A new VMA goes to the tail of the anon_vma: a split of a huge page and migration count on parents being visited first."""
    avc.vma = vma
    avc.anon_vma = av
    same_vma_add(vma, avc)
    same_anon_vma_add_tail(av, avc)


# ---------------------------------------------------------------- prepare, clone, fork, unlink
cdef int anon_vma_prepare(machine* m, vm_area_struct* vma) noexcept nogil:
    cdef anon_vma* av = vma.anon_vma
    cdef anon_vma* allocated = NULL
    cdef anon_vma_chain* avc
    if av != NULL:
        return 0
    avc = anon_vma_chain_alloc(m, GFP_KERNEL)
    if avc == NULL:
        return -ENOMEM
    av = find_mergeable_anon_vma(m, vma)
    if av == NULL:
        av = anon_vma_alloc(m)
        if av == NULL:
            anon_vma_chain_free(m, avc)
            return -ENOMEM
        allocated = av
    anon_vma_lock(m, av)
    page_table_lock(m, vma.vm_mm)
    if vma.anon_vma == NULL:
        vma.anon_vma = av
        anon_vma_chain_link(m, vma, avc, av)
        allocated = NULL
        avc = NULL
    pte_unlock(m, vma.vm_mm)
    anon_vma_unlock(m, av)
    # a thread of the same mm was quicker (a lock's callback may play that part)
    if allocated != NULL:
        put_anon_vma(m, allocated)
    if avc != NULL:
        anon_vma_chain_free(m, avc)
    return 0


cdef anon_vma* lock_anon_vma_root(machine* m, anon_vma* root, anon_vma* av) noexcept nogil:
    """Keeps the root's mutex over a whole chain; the anon_vmas of one VMA have one root."""
    cdef anon_vma* new_root = av.root
    if new_root != root:
        if warn_on_once(m, root != NULL, WARN_ANON_VMA_ROOT):
            mutex_unlock(m, &root.lock, LOCK_ANON_VMA, root)
        root = new_root
        mutex_lock(m, &root.lock, LOCK_ANON_VMA, root)
    return root


cdef void unlock_anon_vma_root(machine* m, anon_vma* root) noexcept nogil:
    if root != NULL:
        mutex_unlock(m, &root.lock, LOCK_ANON_VMA, root)


cdef int anon_vma_clone(machine* m, vm_area_struct* dst, vm_area_struct* src) noexcept nogil:
    cdef anon_vma_chain* pavc = src.avc_tail
    cdef anon_vma_chain* avc
    cdef anon_vma* root = NULL
    while pavc != NULL:
        avc = anon_vma_chain_alloc(m, GFP_NOWAIT | GFP_NOWARN)
        if avc == NULL:
            # an allocation that may sleep wants the mutex free
            unlock_anon_vma_root(m, root)
            root = NULL
            avc = anon_vma_chain_alloc(m, GFP_KERNEL)
            if avc == NULL:
                unlink_anon_vmas(m, dst)
                return -ENOMEM
        root = lock_anon_vma_root(m, root, pavc.anon_vma)
        anon_vma_chain_link(m, dst, avc, pavc.anon_vma)
        pavc = pavc.same_vma_prev
    unlock_anon_vma_root(m, root)
    return 0


cdef int anon_vma_fork(machine* m, vm_area_struct* vma, vm_area_struct* pvma) noexcept nogil:
    cdef anon_vma_chain* avc
    cdef anon_vma* av
    if pvma.anon_vma == NULL:
        return 0
    # pages not yet copied are found through the parent's anon_vmas
    if anon_vma_clone(m, vma, pvma):
        return -ENOMEM
    av = anon_vma_alloc(m)
    if av == NULL:
        unlink_anon_vmas(m, vma)
        return -ENOMEM
    avc = anon_vma_chain_alloc(m, GFP_KERNEL)
    if avc == NULL:
        put_anon_vma(m, av)
        unlink_anon_vmas(m, vma)
        return -ENOMEM
    av.root = pvma.anon_vma.root
    # the lock lives in the root, so the root outlives every anon_vma below it
    av.root.refcount += 1
    vma.anon_vma = av
    mutex_pass(m, &av.root.lock, LOCK_ANON_VMA, av.root)
    anon_vma_chain_link(m, vma, avc, av)
    return 0


cdef void unlink_anon_vmas(machine* m, vm_area_struct* vma) noexcept nogil:
    cdef anon_vma_chain* avc = vma.avc_head
    cdef anon_vma_chain* next
    cdef anon_vma* root = NULL
    # newest to oldest, so that the root goes last
    while avc != NULL:
        next = avc.same_vma_next
        root = lock_anon_vma_root(m, root, avc.anon_vma)
        same_anon_vma_del(avc.anon_vma, avc)
        if avc.anon_vma.head != NULL:
            same_vma_del(vma, avc)
            anon_vma_chain_free(m, avc)
        avc = next
    unlock_anon_vma_root(m, root)
    # what is left belongs to anon_vmas without VMAs: freeing them may need the root's mutex
    avc = vma.avc_head
    while avc != NULL:
        next = avc.same_vma_next
        put_anon_vma(m, avc.anon_vma)
        same_vma_del(vma, avc)
        anon_vma_chain_free(m, avc)
        avc = next


# ---------------------------------------------------------------- from a page to its anon_vma
cdef void no_anon_vma(machine* m, uint32_t pfn) noexcept nogil:
    """A mapped page whose mapping says anonymous, and no more: the kernel follows NULL."""
    if page_mapped(m, pfn) and m.pages[pfn].mapping == PAGE_MAPPING_ANON:
        kernel_bug(m, BUG_OOPS, b"anon_vma is NULL", b"page_lock_anon_vma")


cdef anon_vma* page_get_anon_vma(machine* m, uint32_t pfn) noexcept nogil:
    cdef anon_vma* av
    m.hw.cost.rcu_read_lock += 1
    av = mapped_anon_vma(m, pfn)
    if av == NULL:
        no_anon_vma(m, pfn)
        return NULL
    if av.refcount == 0:
        return NULL
    av.refcount += 1
    if not page_mapped(m, pfn):
        put_anon_vma(m, av)
        return NULL
    return av


cdef anon_vma* lock_anon_vma_slowly(machine* m, uint32_t pfn, anon_vma* av) noexcept nogil:
    """Someone holds the mutex: pin the anon_vma, then wait."""
    if av.refcount == 0:
        return NULL
    av.refcount += 1
    if not page_mapped(m, pfn):
        put_anon_vma(m, av)
        return NULL
    anon_vma_lock(m, av)
    av.refcount -= 1
    if av.refcount == 0:
        # ours was the last reference: put_anon_vma would take the mutex that we hold
        anon_vma_unlock(m, av)
        __put_anon_vma(m, av)
        return NULL
    return av
