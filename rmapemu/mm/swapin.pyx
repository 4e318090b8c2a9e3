# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# A fault on an entry that is neither none nor present: swap, migration, hwpoison.
# Kernel: mm/memory.c (do_swap_page).
# Differs: no swap token to contend for; a migration entry ends the fault, as nobody would finish the migration meanwhile.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.hw.pte cimport mk_pte, pte_mkdirty, pte_to_swp_entry, swp_type
from rmapemu.mm.cow cimport do_wp_page
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport *
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.rmap_add cimport do_page_add_anon_rmap
from rmapemu.mm.swap_scan cimport vm_swap_full
from rmapemu.mm.swap_slot cimport slot_put
from rmapemu.mm.swap_state cimport find_get_swap_page, lookup_swap_page, swapin_readahead
from rmapemu.mm.swapfile cimport reuse_swap_page, try_to_free_swap
from rmapemu.mm.types cimport *


cdef int non_swap_fault(machine* m, vm_area_struct* vma, uint64_t va, uint64_t entry, uint64_t orig) noexcept nogil:
    cdef uint32_t kind = swp_type(entry)
    if kind == SWP_MIGRATION_READ or kind == SWP_MIGRATION_WRITE:
        return VM_FAULT_BLOCKED
    if kind == SWP_HWPOISON:
        return VM_FAULT_HWPOISON
    print_bad_pte(m, vma, va, orig)
    return VM_FAULT_SIGBUS


cdef inline int map_swap_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t entry,
                              uint32_t pfn) noexcept nogil:
    """The locked page takes its swap entry's place; unlocks it. The entry's lock is dropped."""
    cdef uint64_t e = mk_pte(m.hw.fmt, pfn, vma.vm_page_prot)
    cdef int exclusive = 0
    cdef int ret = 0
    mm.rss_stat[MM_ANONPAGES] += 1
    mm.rss_stat[MM_SWAPENTS] -= 1
    if kind == ACCESS_WRITE and reuse_swap_page(m, pfn):
        e = maybe_mkwrite(m, vma, pte_mkdirty(m.hw.fmt, e))
        exclusive = 1
        ret = VM_FAULT_WRITE
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, e)
    do_page_add_anon_rmap(m, pfn, vma, va, exclusive)
    slot_put(m, entry, 1)
    if vm_swap_full(m) or vma.vm_flags & VM_LOCKED or m.pages[pfn].flags & PG_mlocked:
        try_to_free_swap(m, pfn)
    unlock_page(m, pfn)
    if kind == ACCESS_WRITE and not exclusive:
        ret = do_wp_page(m, mm, vma, va, pte, e)
        return ret & VM_FAULT_ERROR if ret & VM_FAULT_ERROR else ret
    m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, kind)
    pte_unlock(m, mm)
    return ret


cdef int use_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig,
                  uint64_t entry, uint32_t pfn) noexcept nogil:
    """With a reference to what the swap cache had: maps the page, or lets go of it where things have changed."""
    cdef page* p = &m.pages[pfn]
    cdef int ret = 0
    lock_page(m, pfn)
    # ksm_might_need_to_copy comes in here: a KSM page of other relatives would be copied
    if p.flags & PG_swapcache and private_to_entry(m.pages[pfn].private) == entry:
        pte_lock(m, mm, va)
        if pte[0] == orig:
            if p.flags & PG_uptodate:
                return map_swap_page(m, mm, vma, va, kind, pte, entry, pfn)
            ret = VM_FAULT_SIGBUS
        pte_unlock(m, mm)
    else:
        # only a swap cache bent by hand has the same page there again, and the kernel would go round for ever
        BUG_ON(m, lookup_swap_page(m, entry) == pfn and pte[0] == orig, b"page_private(page) != entry.val", b"do_swap_page")
    unlock_page(m, pfn)
    put_page(m, pfn)
    return ret


cdef int do_swap_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig) noexcept nogil:
    cdef uint64_t entry = pte_to_swp_entry(m.hw.fmt, orig)
    cdef uint32_t pfn
    cdef int ret = 0
    if rm_unlikely(swp_type(entry) >= MAX_SWAPFILES):
        return non_swap_fault(m, vma, va, entry, orig)
    pfn = find_get_swap_page(m, entry)
    if pfn == 0:
        pfn = swapin_readahead(m, entry, GFP_HIGHUSER_MOVABLE)
        if pfn == 0:
            return VM_FAULT_OOM if pte[0] == orig else 0
        count_vm_event(m, PGMAJFAULT)
        ret = VM_FAULT_MAJOR
    elif rm_unlikely(m.pages[pfn].flags & PG_hwpoison):
        put_page(m, pfn)
        return VM_FAULT_HWPOISON
    return ret | use_page(m, mm, vma, va, kind, pte, orig, entry, pfn)
