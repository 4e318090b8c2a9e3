# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Changing permissions: of VMAs, which split and merge, and of the entries below them.
# Kernel: mm/mprotect.c (v3.2), mprotect_fixup, change_protection, sys_mprotect. Differs: no PROT_SEM, PROT_GROWSDOWN or PROT_GROWSUP.
from libc.errno cimport EACCES, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint64_t
from rmapemu.hw.ops cimport addr_space
from rmapemu.hw.pte cimport (
    pte_dirty, pte_file, pte_mkwrite, pte_none, pte_present, pte_to_swp_entry, swp_entry, swp_entry_to_pte, swp_offset, swp_type
)
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmap cimport (
    find_vma_prev, isolate_range, vm_enough_memory, vm_get_page_prot, vm_stat_account, vma_merge, vma_wants_writenotify
)
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start
from rmapemu.mm.types cimport *

cdef enum:
    PROT_ALL = VM_READ | VM_WRITE | VM_EXEC


cdef void change_special_entry(machine* m, mm_struct* mm, uint64_t va, uint64_t* pte) noexcept nogil:
    """A page under migration comes back read-only if it was to be written."""
    cdef uint64_t e = pte[0]
    if pte_none(m.hw.fmt, e) or pte_file(m.hw.fmt, e):
        return
    e = pte_to_swp_entry(m.hw.fmt, e)
    if swp_type(e) == SWP_MIGRATION_WRITE:
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, swp_entry_to_pte(m.hw.fmt, swp_entry(SWP_MIGRATION_READ, swp_offset(e))))


cdef void finish_run(machine* m, vm_area_struct* vma, uint64_t va, uint64_t end, bint dirty_accountable) noexcept nogil:
    """What a run of pte_modify leaves to do: dirty entries of an accounted file stay writable; migration entries."""
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, va)
    if pte == NULL:
        return
    while va < end:
        if not pte_present(m.hw.fmt, pte[0]):
            if m.config.migration:
                change_special_entry(m, vma.vm_mm, va, pte)
        elif dirty_accountable and pte_dirty(m.hw.fmt, pte[0]):
            m.hw.ops.set_pte(&m.hw, &vma.vm_mm.hw, va, pte, pte_mkwrite(m.hw.fmt, pte[0]))
        pte += 1
        va += <uint64_t>1 << m.page_shift


cdef void change_pte_range(machine* m, vm_area_struct* vma, uint64_t va, uint64_t end, uint64_t prot,
                           bint dirty_accountable) noexcept nogil:
    pte_lock(m, vma.vm_mm, va)
    m.hw.ops.protect_run(&m.hw, &vma.vm_mm.hw, va, end, prot)
    finish_run(m, vma, va, end, dirty_accountable)
    pte_unlock(m, vma.vm_mm)


cdef void change_protection(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, uint64_t prot,
                            bint dirty_accountable) noexcept nogil:
    cdef addr_space* s = &vma.vm_mm.hw
    cdef uint64_t span = <uint64_t>1 << m.hw.fmt.level[1].shift
    cdef uint64_t table_span = span << m.hw.fmt.level[1].index_bits
    cdef uint64_t va = start, upto
    while va < end:
        if m.hw.ops.find_pmd(&m.hw, s, va) == NULL:
            va = (va | (table_span - 1)) + 1
            continue
        upto = min((va | (span - 1)) + 1, end)
        if m.hw.ops.find_pte(&m.hw, s, va) != NULL:
            change_pte_range(m, vma, va, upto, prot, dirty_accountable)
        va = upto
    m.hw.ops.flush_tlb_range(&m.hw, s, start, end)


cdef int mprotect_fixup(machine* m, vm_area_struct** vmap, vm_area_struct* prev, uint64_t start, uint64_t end,
                        uint64_t newflags) noexcept nogil:
    """*vmap becomes the VMA that covers [start, end) now: 0, -ENOMEM."""
    cdef vm_area_struct* vma = vmap[0]
    cdef mm_struct* mm = vma.vm_mm
    cdef vm_area_struct* merged
    cdef uint64_t pages = (end - start) >> m.page_shift
    cdef uint64_t oldflags = vma.vm_flags, charged = 0
    cdef bint dirty_accountable = False
    if newflags == oldflags:
        return 0
    # private memory that becomes writable is committed; it stays so when it is made read-only again
    if newflags & VM_WRITE and not oldflags & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE):
        if vm_enough_memory(m, mm, pages):
            return -ENOMEM
        charged = pages
        newflags |= VM_ACCOUNT
    merged = vma_merge(m, mm, prev, start, end, newflags, vma.anon_vma, vma.vm_file, linear_page_index(m, vma, start))
    if merged != NULL:
        vma = merged
        vmap[0] = vma
    elif isolate_range(m, mm, vma, start, end):
        m.committed_as -= charged
        return -ENOMEM
    vma.vm_flags = newflags
    vma.vm_page_prot = vm_get_page_prot(m, newflags)
    if vma_wants_writenotify(m, vma):
        vma.vm_page_prot = vm_get_page_prot(m, newflags & ~<uint64_t>VM_SHARED)
        dirty_accountable = True
    mmu_notifier_invalidate_range_start(m, mm, start, end)
    change_protection(m, vma, start, end, vma.vm_page_prot, dirty_accountable)
    mmu_notifier_invalidate_range_end(m, mm, start, end)
    vm_stat_account(mm, oldflags, vma.vm_file, -<int64_t>pages)
    vm_stat_account(mm, newflags, vma.vm_file, pages)
    return 0


cdef int do_mprotect(machine* m, mm_struct* mm, uint64_t start, uint64_t end, uint64_t prot) noexcept nogil:
    cdef vm_area_struct* prev
    cdef vm_area_struct* vma = find_vma_prev(mm, start, &prev)
    cdef uint64_t newflags, upto
    cdef int err
    if vma == NULL or vma.vm_start > start:
        return -ENOMEM
    if start > vma.vm_start:
        prev = vma
    while True:
        newflags = prot | (vma.vm_flags & ~<uint64_t>PROT_ALL)
        # VM_MAY* stand four bits above what they permit
        if newflags & ~(newflags >> 4) & PROT_ALL:
            return -EACCES
        upto = min(vma.vm_end, end)
        err = mprotect_fixup(m, &vma, prev, start, upto, newflags)
        if err:
            return err
        prev = vma
        start = max(upto, prev.vm_end)
        if start >= end:
            return 0
        vma = prev.vm_next
        if vma == NULL or vma.vm_start != start:
            return -ENOMEM


cdef int sys_mprotect(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes, uint64_t prot) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t end
    cdef int err
    if start & page_mask:
        return -EINVAL
    if len_bytes == 0:
        return 0
    len_bytes = (len_bytes + page_mask) & ~page_mask
    end = start + len_bytes
    if end <= start:
        return -ENOMEM
    if prot & ~<uint64_t>PROT_ALL:
        return -EINVAL
    down_write(m, mm, False)
    err = do_mprotect(m, mm, start, end, prot)
    up_write(m, mm)
    return err
