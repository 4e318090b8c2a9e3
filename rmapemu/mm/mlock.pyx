# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Locked memory: VM_LOCKED on VMAs, PG_mlocked on pages, the unevictable list.
# Kernel: mm/mlock.c (v3.2). Differs: no RLIMIT_MEMLOCK; mmap_sem is never dropped while faulting.
from libc.errno cimport EAGAIN, EFAULT, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.mm.gup cimport FOLL_FORCE, FOLL_MLOCK, FOLL_WRITE, follow_present, get_user_pages
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmap cimport find_vma, find_vma_prev, isolate_range, vma_merge
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.rmap cimport SWAP_AGAIN, SWAP_MLOCK
from rmapemu.mm.rmap_unmap cimport try_to_munlock
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
cdef enum:
    VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_RESERVED | VM_PFNMAP


cdef inline uint64_t leaf_end(machine* m, uint64_t va) noexcept nogil:
    """First address behind the leaf table that va is in."""
    return (va | ((<uint64_t>1 << m.hw.fmt.level[1].shift) - 1)) + 1


cdef inline int foll_write(const vm_area_struct* vma) noexcept nogil:
    """Private writable memory is written to, so that it is not copied later; shared memory would only become dirty."""
    return FOLL_WRITE if (vma.vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE else 0


cdef int __mlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    cdef int foll = FOLL_MLOCK | foll_write(vma)
    if vma.vm_flags & (VM_READ | VM_WRITE | VM_EXEC):
        foll |= FOLL_FORCE
    return get_user_pages(m, vma, start, end, foll)


cdef int64_t mlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    BUG_ON(m, not vma.vm_flags & VM_LOCKED, b"!(vma->vm_flags & VM_LOCKED)", b"mlock_vma_pages_range")
    if not vma.vm_flags & (VM_SPECIAL | VM_HUGETLB):
        __mlock_vma_pages_range(m, vma, start, end)
        return 0
    if not vma.vm_flags & (VM_IO | VM_PFNMAP):
        make_pages_present(m, vma.vm_mm, start, end)
    vma.vm_flags &= ~<uint64_t>VM_LOCKED
    return (end - start) >> m.page_shift


cdef int make_pages_present(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil:
    cdef vm_area_struct* vma = find_vma(mm, start)
    if vma == NULL:
        return -ENOMEM
    BUG_ON(m, end > vma.vm_end, b"end > vma->vm_end", b"make_pages_present")
    return get_user_pages(m, vma, start, end, foll_write(vma))


cdef void munlock_vma_pages_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    cdef const uint64_t* pte
    cdef uint32_t pfn
    vma.vm_flags &= ~<uint64_t>VM_LOCKED
    while start < end:
        pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, start)
        if pte == NULL:
            start = leaf_end(m, start)
            continue
        pfn = follow_present(m, vma, start, pte)
        if pfn:
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
    if newflags == vma.vm_flags or vma.vm_flags & (VM_SPECIAL | VM_HUGETLB):
        return 0
    merged = vma_merge(m, mm, prev, start, end, newflags, vma.anon_vma, vma.vm_file, linear_page_index(m, vma, start))
    if merged != NULL:
        vma = merged
        vmap[0] = vma
    elif isolate_range(m, mm, vma, start, end):
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


cdef int do_mlock_pages(machine* m, mm_struct* mm, uint64_t start, uint64_t end, bint ignore_errors) noexcept nogil:
    cdef vm_area_struct* vma
    cdef int ret = 0
    down_read(m, mm)
    vma = find_vma(mm, start)
    while vma != NULL and vma.vm_start < end and ret == 0:
        if not vma.vm_flags & (VM_IO | VM_PFNMAP):
            ret = __mlock_vma_pages_range(m, vma, max(start, vma.vm_start), min(end, vma.vm_end))
        if ignore_errors:
            ret = 0
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
    return do_mlock_pages(m, mm, start, end, False) if lock and err == 0 else err


cdef void do_mlockall(machine* m, mm_struct* mm, int flags) noexcept nogil:
    cdef vm_area_struct* vma = mm.mmap
    cdef uint64_t newflags
    mm.def_flags = VM_LOCKED if flags & MCL_FUTURE else 0
    if flags == MCL_FUTURE:
        return
    while vma != NULL:
        newflags = vma.vm_flags | VM_LOCKED if flags & MCL_CURRENT else vma.vm_flags & ~<uint64_t>VM_LOCKED
        # a whole VMA needs no split, so this does not fail
        mlock_fixup(m, &vma, vma.vm_prev, vma.vm_start, vma.vm_end, newflags)
        vma = vma.vm_next


cdef int sys_mlockall(machine* m, mm_struct* mm, int flags) noexcept nogil:
    if flags == 0 or flags & ~(MCL_CURRENT | MCL_FUTURE):
        return -EINVAL
    down_write(m, mm, False)
    do_mlockall(m, mm, flags)
    up_write(m, mm)
    return do_mlock_pages(m, mm, 0, mm.task_size, True) if flags & MCL_CURRENT else 0


cdef int sys_munlockall(machine* m, mm_struct* mm) noexcept nogil:
    down_write(m, mm, False)
    do_mlockall(m, mm, 0)
    up_write(m, mm)
    return 0
