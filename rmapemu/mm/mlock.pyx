# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Locked memory: VM_LOCKED on VMAs, PG_mlocked on pages, the unevictable list.
# Kernel: mm/mlock.c (v3.2); follow_page and __get_user_pages of mm/memory.c. Differs: no RLIMIT_MEMLOCK, no stack guard page.
from libc.errno cimport EAGAIN, EFAULT, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_READ, ACCESS_WRITE
from rmapemu.hw.pte cimport pte_dirty, pte_present, pte_write
from rmapemu.mm.filemap cimport set_page_dirty
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport handle_mm_fault, vm_normal_page, VM_FAULT_ERROR, VM_FAULT_OOM
from rmapemu.mm.mmap cimport find_vma, find_vma_prev, split_vma, vma_merge
from rmapemu.mm.page_alloc cimport get_page, put_page
from rmapemu.mm.rmap cimport SWAP_AGAIN, SWAP_MLOCK
from rmapemu.mm.rmap_unmap cimport try_to_munlock
from rmapemu.mm.swap_lru cimport mark_page_accessed
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan cimport isolate_lru_page, putback_lru_page


# ---------------------------------------------------------------- pages
cdef void mlock_vma_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"mlock_vma_page")
    if p.flags & PG_mlocked:
        return
    p.flags |= PG_mlocked
    inc_zone_page_state(m, pfn, NR_MLOCK)
    count_vm_event(m, UNEVICTABLE_PGMLOCKED)
    if isolate_lru_page(m, pfn) == 0:
        putback_lru_page(m, pfn)


cdef void munlock_vma_page(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    cdef int ret = SWAP_AGAIN
    BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"munlock_vma_page")
    if not p.flags & PG_mlocked:
        return
    p.flags &= ~<uint32_t>PG_mlocked
    dec_zone_page_state(m, pfn, NR_MLOCK)
    if isolate_lru_page(m, pfn) == 0:
        # mapped once: that is the mapping being unlocked
        if p.mapcount > 1:
            ret = try_to_munlock(m, pfn)
        if ret != SWAP_MLOCK:
            count_vm_event(m, UNEVICTABLE_PGMUNLOCKED)
        putback_lru_page(m, pfn)
    elif p.flags & PG_unevictable:
        count_vm_event(m, UNEVICTABLE_PGSTRANDED)
    else:
        count_vm_event(m, UNEVICTABLE_PGMUNLOCKED)


cdef void clear_page_mlock(machine* m, uint32_t pfn) noexcept nogil:
    cdef page* p = &m.pages[pfn]
    if not p.flags & PG_mlocked:
        return
    p.flags &= ~<uint32_t>PG_mlocked
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"__clear_page_mlock")
    if p.mapping == 0:
        return
    dec_zone_page_state(m, pfn, NR_MLOCK)
    count_vm_event(m, UNEVICTABLE_PGCLEARED)
    if isolate_lru_page(m, pfn) == 0:
        putback_lru_page(m, pfn)
    elif p.flags & PG_unevictable:
        count_vm_event(m, UNEVICTABLE_PGSTRANDED)


# ---------------------------------------------------------------- faulting in
cdef uint32_t follow_page(machine* m, vm_area_struct* vma, uint64_t va, bint write) noexcept nogil:
    """The page mapped there (writably, where asked), or 0. PROT_NONE entries count; the zero page does not."""
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, va)
    if pte == NULL or not pte_present(m.hw.fmt, pte[0]) or (write and not pte_write(m.hw.fmt, pte[0])):
        return 0
    return vm_normal_page(m, vma, va, pte[0])


cdef bint present(machine* m, vm_area_struct* vma, uint64_t va, bint write) noexcept nogil:
    """Is there an entry that serves, the zero page's included?"""
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, va)
    return pte != NULL and pte_present(m.hw.fmt, pte[0]) and (not write or pte_write(m.hw.fmt, pte[0]))


cdef void touch_followed(machine* m, vm_area_struct* vma, uint64_t va, bint write) noexcept nogil:
    """FOLL_TOUCH and FOLL_MLOCK of follow_page."""
    cdef uint32_t pfn = follow_page(m, vma, va, write)
    if pfn == 0:
        return
    if write and not m.pages[pfn].flags & PG_dirty and not pte_dirty(m.hw.fmt, m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, va)[0]):
        set_page_dirty(m, pfn)
    mark_page_accessed(m, pfn)
    if vma.vm_flags & VM_LOCKED and m.pages[pfn].mapping and trylock_page(m, pfn):
        if m.pages[pfn].mapping:
            mlock_vma_page(m, pfn)
        unlock_page(m, pfn)


cdef int fault_in(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    """__mlock_vma_pages_range: 0, -EFAULT, -ENOMEM."""
    cdef bint write = (vma.vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE
    cdef int ret
    if not vma.vm_flags & (VM_READ | VM_WRITE | VM_EXEC):
        return -EFAULT
    while start < end:
        while not present(m, vma, start, write):
            ret = handle_mm_fault(m, vma.vm_mm, vma, start, ACCESS_WRITE if write else ACCESS_READ, NULL)
            if ret & VM_FAULT_ERROR:
                return -ENOMEM if ret & VM_FAULT_OOM else -EFAULT
        touch_followed(m, vma, start, write)
        start += <uint64_t>1 << m.page_shift
    return 0


cdef int mlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    return fault_in(m, vma, start, end)


cdef int make_pages_present(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil:
    cdef vm_area_struct* vma = find_vma(mm, start)
    cdef int ret
    while vma != NULL and vma.vm_start < end:
        ret = fault_in(m, vma, max(start, vma.vm_start), min(end, vma.vm_end))
        if ret:
            return ret
        vma = vma.vm_next
    return 0


cdef void munlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint32_t pfn
    vma.vm_flags &= ~<uint64_t>VM_LOCKED
    while start < end:
        pfn = follow_page(m, vma, start, False)
        if pfn:
            get_page(m, pfn)
            lock_page(m, pfn)
            if m.pages[pfn].mapping:
                munlock_vma_page(m, pfn)
            unlock_page(m, pfn)
            put_page(m, pfn)
        start += <uint64_t>1 << m.page_shift


# ---------------------------------------------------------------- mlock and munlock
cdef int mlock_fixup(machine* m, vm_area_struct** vmap, vm_area_struct* prev, uint64_t start, uint64_t end,
                     uint64_t newflags) noexcept nogil:
    """*vmap becomes the VMA that covers [start, end) now."""
    cdef vm_area_struct* vma = vmap[0]
    cdef mm_struct* mm = vma.vm_mm
    cdef vm_area_struct* merged
    cdef int64_t pages = (end - start) >> m.page_shift
    if newflags == vma.vm_flags or vma.vm_flags & (VM_IO | VM_DONTEXPAND | VM_RESERVED | VM_PFNMAP | VM_HUGETLB):
        return 0
    merged = vma_merge(m, mm, prev, start, end, newflags, vma.anon_vma, vma.vm_file, linear_page_index(m, vma, start))
    if merged != NULL:
        vma = merged
        vmap[0] = vma
    else:
        if start != vma.vm_start and split_vma(m, mm, vma, start, 1):
            return -ENOMEM
        if end != vma.vm_end and split_vma(m, mm, vma, end, 0):
            return -ENOMEM
    mm.locked_vm += pages if newflags & VM_LOCKED else -pages
    if newflags & VM_LOCKED:
        vma.vm_flags = newflags
    else:
        munlock_vma_pages_range(m, vma, start, end)
    return 0


cdef int do_mlock(machine* m, mm_struct* mm, uint64_t start, uint64_t end, bint lock) noexcept nogil:
    cdef vm_area_struct* prev
    cdef vm_area_struct* vma = find_vma_prev(mm, start, &prev)
    cdef uint64_t newflags, upto
    cdef int err
    if vma == NULL or vma.vm_start > start:
        return -ENOMEM
    if start > vma.vm_start:
        prev = vma
    while True:
        newflags = vma.vm_flags | VM_LOCKED if lock else vma.vm_flags & ~<uint64_t>VM_LOCKED
        upto = min(vma.vm_end, end)
        err = mlock_fixup(m, &vma, prev, start, upto, newflags)
        if err:
            return err
        prev = vma
        start = max(upto, prev.vm_end)
        if start >= end:
            return 0
        vma = prev.vm_next
        if vma == NULL or vma.vm_start != start:
            return -ENOMEM


cdef int do_mlock_pages(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil:
    cdef vm_area_struct* vma
    cdef int ret = 0
    down_read(m, mm)
    vma = find_vma(mm, start)
    while vma != NULL and vma.vm_start < end and ret == 0:
        if vma.vm_flags & VM_LOCKED:
            ret = fault_in(m, vma, max(start, vma.vm_start), min(end, vma.vm_end))
        vma = vma.vm_next
    up_read(m, mm)
    # __mlock_posix_error_return
    return -ENOMEM if ret == -EFAULT else -EAGAIN if ret == -ENOMEM else ret


cdef int sys_mlock(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes, bint lock) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t end
    cdef int err
    len_bytes = (len_bytes + (start & page_mask) + page_mask) & ~page_mask
    start &= ~page_mask
    end = start + len_bytes
    if end < start:
        return -EINVAL
    if end == start:
        return 0
    down_write(m, mm, False)
    err = do_mlock(m, mm, start, end, lock)
    up_write(m, mm)
    return do_mlock_pages(m, mm, start, end) if lock and err == 0 else err
