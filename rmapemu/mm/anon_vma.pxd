# SPDX-License-Identifier: GPL-2.0-only
# Linking: anon_vmas, their chains and references. Kernel: mm/rmap.c (v3.2), from anon_vma_alloc to page_unlock_anon_vma.
from libc.stdint cimport uint32_t
from rmapemu.hw.costs cimport LOCK_ANON_VMA
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.lock cimport anon_vma_unlock, mutex_trylock
from rmapemu.mm.types cimport machine, anon_vma, anon_vma_chain, page_anon_vma, vm_area_struct

cdef int anon_vma_prepare(machine* m, vm_area_struct* vma) noexcept nogil                        # 0, -ENOMEM
cdef int anon_vma_clone(machine* m, vm_area_struct* dst, vm_area_struct* src) noexcept nogil     # 0, -ENOMEM with dst unlinked
cdef int anon_vma_fork(machine* m, vm_area_struct* vma, vm_area_struct* pvma) noexcept nogil     # 0, -ENOMEM
cdef void unlink_anon_vmas(machine* m, vm_area_struct* vma) noexcept nogil
cdef anon_vma* anon_vma_alloc(machine* m) noexcept nogil                                         # refcount 1, its own root; NULL
cdef void anon_vma_free(machine* m, anon_vma* av) noexcept nogil
cdef anon_vma_chain* anon_vma_chain_alloc(machine* m, uint32_t gfp) noexcept nogil
cdef void anon_vma_chain_free(machine* m, anon_vma_chain* avc) noexcept nogil
cdef void anon_vma_chain_link(machine* m, vm_area_struct* vma, anon_vma_chain* avc, anon_vma* av) noexcept nogil
cdef void anon_vma_ctor(anon_vma* av) noexcept nogil                                             # what a fresh object looks like
# The root's lock over a chain: takes av's root's instead of root's where they differ (None: NULL); returns the one that is held.
cdef anon_vma* lock_anon_vma_root(machine* m, anon_vma* root, anon_vma* av) noexcept nogil
cdef void unlock_anon_vma_root(machine* m, anon_vma* root) noexcept nogil
cdef void put_anon_vma(machine* m, anon_vma* av) noexcept nogil
cdef void __put_anon_vma(machine* m, anon_vma* av) noexcept nogil
cdef anon_vma* page_get_anon_vma(machine* m, uint32_t pfn) noexcept nogil
cdef void no_anon_vma(machine* m, uint32_t pfn) noexcept nogil                                  # oops, or nothing
# Someone else holds the mutex: the rest of page_lock_anon_vma.
cdef anon_vma* lock_anon_vma_slowly(machine* m, uint32_t pfn, anon_vma* av) noexcept nogil

cdef inline void get_anon_vma(anon_vma* av) noexcept nogil:
    av.refcount += 1

# The two below begin every walk over anonymous mappings, so they are inlined into it.
cdef inline anon_vma* mapped_anon_vma(machine* m, uint32_t pfn) noexcept nogil:
    """page->mapping as an anon_vma while the page is mapped, else NULL (page_get_anon_vma and page_lock_anon_vma begin so)."""
    cdef anon_vma* av = page_anon_vma(m, &m.pages[pfn])
    return av if m.pages[pfn].mapcount > 0 else NULL

cdef inline anon_vma* page_lock_anon_vma(machine* m, uint32_t pfn) noexcept nogil:
    """The anon_vma of a mapped page, its root's mutex taken; NULL: the page is not mapped (any more), or not anonymous."""
    cdef anon_vma* av
    m.hw.cost.rcu_read_lock += 1
    av = mapped_anon_vma(m, pfn)
    if rm_unlikely(av == NULL):
        no_anon_vma(m, pfn)
        return NULL
    if rm_unlikely(not mutex_trylock(m, &av.root.lock, LOCK_ANON_VMA, av.root)):
        return lock_anon_vma_slowly(m, pfn, av)
    # nothing runs between the test of the mapcount and the lock, so the kernel's second test is the first one's
    return av

cdef inline void page_unlock_anon_vma(machine* m, anon_vma* av) noexcept nogil:
    anon_vma_unlock(m, av)
