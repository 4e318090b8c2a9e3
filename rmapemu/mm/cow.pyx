# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# A store to a present, read-only entry: the page is reused where nobody else has it or the mapping is shared, else copied.
# Kernel: mm/memory.c (do_wp_page, cow_user_page), fs/buffer.c (block_page_mkwrite).
# Differs: no throttling of dirtiers, no file times; the file system of ->page_mkwrite is a plain one that never fails.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.hw.pte cimport mk_pte, pte_mkdirty, pte_mkyoung
from rmapemu.mm.anon_vma cimport anon_vma_prepare
from rmapemu.mm.filemap cimport i_size_pages
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport *
from rmapemu.mm.mlock cimport munlock_vma_page
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_page
from rmapemu.mm.page_alloc cimport alloc_pages, get_page, put_page
from rmapemu.mm.page_writeback cimport set_page_dirty
from rmapemu.mm.rmap_add cimport page_add_new_anon_rmap, page_move_anon_rmap, page_remove_rmap
from rmapemu.mm.swapfile cimport reuse_swap_page
from rmapemu.mm.types cimport *


cdef int page_mkwrite(machine* m, vm_area_struct* vma, uint32_t pfn) noexcept nogil:
    cdef address_space* a = vma.vm_file
    lock_page(m, pfn)
    if page_file_mapping(m, &m.pages[pfn]) != a or m.pages[pfn].index >= i_size_pages(m, a):
        unlock_page(m, pfn)
        return VM_FAULT_SIGBUS
    set_page_dirty(m, pfn)
    return 0


cdef inline void reuse(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig) noexcept nogil:
    """The entry becomes writable, young and dirty; the lock is dropped."""
    cdef uint64_t entry = maybe_mkwrite(m, vma, pte_mkdirty(m.hw.fmt, pte_mkyoung(m.hw.fmt, orig)))
    m.hw.cost.cache_flush_page += 1
    if entry != orig:                   # ptep_set_access_flags
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
        m.hw.ops.flush_tlb_page(&m.hw, &mm.hw, va)
        m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, ACCESS_WRITE)
    pte_unlock(m, mm)


cdef int wp_shared(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig, uint32_t pfn) noexcept nogil:
    """A shared mapping of a file: the file is asked, the page gets dirty."""
    cdef bint asked = False
    cdef int ret
    get_page(m, pfn)
    if vma.vm_file != NULL and vma.vm_file.page_mkwrite:
        pte_unlock(m, mm)
        ret = page_mkwrite(m, vma, pfn)
        if ret:
            put_page(m, pfn)
            return ret
        pte_lock(m, mm, va)
        if pte[0] != orig:
            unlock_page(m, pfn)
            pte_unlock(m, mm)
            put_page(m, pfn)
            return 0
        asked = True
    reuse(m, mm, vma, va, pte, orig)
    set_page_dirty(m, pfn)
    if asked:
        unlock_page(m, pfn)
    put_page(m, pfn)
    return VM_FAULT_WRITE


cdef bint wp_exclusive(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig, uint32_t pfn,
                       bint* changed) noexcept nogil:
    """Is the anonymous page ours alone? *changed: the entry is not the same any more, the fault is over."""
    cdef bint alone
    if not trylock_page(m, pfn):
        get_page(m, pfn)
        pte_unlock(m, mm)
        lock_page(m, pfn)
        pte_lock(m, mm, va)
        if pte[0] != orig:
            unlock_page(m, pfn)
            pte_unlock(m, mm)
            put_page(m, pfn)
            changed[0] = True
            return False
        put_page(m, pfn)
    alone = reuse_swap_page(m, pfn)
    if alone:
        # walks need to visit only this VMA's relatives from now on
        page_move_anon_rmap(m, pfn, vma, va)
    unlock_page(m, pfn)
    return alone


cdef inline void wp_install(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint32_t old,
                            uint32_t new) noexcept nogil:
    """The copy takes the old page's place (0: the zero page's), in an order in which no other CPU could use both."""
    cdef uint64_t entry = maybe_mkwrite(m, vma, pte_mkdirty(m.hw.fmt, mk_pte(m.hw.fmt, new, vma.vm_page_prot)))
    if old == 0:
        mm.rss_stat[MM_ANONPAGES] += 1
    elif not PageAnon(&m.pages[old]):
        mm.rss_stat[MM_FILEPAGES] -= 1
        mm.rss_stat[MM_ANONPAGES] += 1
    m.hw.cost.cache_flush_page += 1
    m.hw.ops.clear_flush(&m.hw, &mm.hw, va, pte)
    page_add_new_anon_rmap(m, new, vma, va)
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
    mmu_notifier_invalidate_page(m, mm, va)             # set_pte_at_notify, to those without change_pte
    m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, ACCESS_WRITE)
    if old:
        page_remove_rmap(m, old)


cdef uint32_t wp_new_page(machine* m, vm_area_struct* vma, uint32_t old) noexcept nogil:
    """A copy of the old page, or a cleared one; 0: -ENOMEM."""
    cdef uint32_t new
    if anon_vma_prepare(m, vma):
        return 0
    new = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    if new == 0:
        return 0
    if old:
        copy_user_highpage(m, new, old)
    else:
        clear_user_highpage(m, new)
    m.pages[new].flags |= PG_uptodate
    return new


cdef int wp_copy(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig, uint32_t old) noexcept nogil:
    cdef uint32_t new
    cdef int ret = 0
    if old:
        get_page(m, old)
    pte_unlock(m, mm)
    new = wp_new_page(m, vma, old)
    if new == 0:
        if old:
            put_page(m, old)
        return VM_FAULT_OOM
    pte_lock(m, mm, va)
    # the allocation may have reclaimed: even this entry
    if pte[0] == orig:
        wp_install(m, mm, vma, va, pte, old, new)
        new = old
        ret = VM_FAULT_WRITE
    if new:
        put_page(m, new)
    pte_unlock(m, mm)
    if old:
        if ret & VM_FAULT_WRITE and vma.vm_flags & VM_LOCKED:
            lock_page(m, old)
            munlock_vma_page(m, old)
            unlock_page(m, old)
        put_page(m, old)
    return ret


cdef int do_wp_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig) noexcept nogil:
    cdef uint32_t old = vm_normal_page(m, vma, va, orig)
    cdef bint changed = False
    cdef bint shared = (vma.vm_flags & (VM_WRITE | VM_SHARED)) == (VM_WRITE | VM_SHARED)
    if old and PageAnon(&m.pages[old]) and not PageKsm(&m.pages[old]):
        if wp_exclusive(m, mm, vma, va, pte, orig, old, &changed):
            reuse(m, mm, vma, va, pte, orig)
            return VM_FAULT_WRITE
        if changed:
            return 0
    elif shared:
        if old:
            return wp_shared(m, mm, vma, va, pte, orig, old)
        reuse(m, mm, vma, va, pte, orig)
        return VM_FAULT_WRITE
    return wp_copy(m, mm, vma, va, pte, orig, old)
