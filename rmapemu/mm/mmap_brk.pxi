# SPDX-License-Identifier: GPL-2.0-only
# The heap and the stack. Kernel: mm/mmap.c (do_brk, sys_brk, expand_stack, insert_vm_struct). No RLIMIT_DATA; RLIMIT_STACK is its default.

cdef int64_t do_brk(machine* m, mm_struct* mm, uint64_t addr, uint64_t len_bytes) noexcept nogil:
    """Anonymous memory at a fixed address, merged with what is beside it: addr, or -errno."""
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t vm_flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT | mm.def_flags
    cdef uint64_t pages
    cdef vm_area_struct* prev
    cdef vm_area_struct* vma
    cdef int64_t at
    len_bytes = (len_bytes + page_mask) & ~page_mask
    if len_bytes == 0:
        return addr
    at = get_unmapped_area(m, mm, addr, len_bytes, MAP_FIXED)
    if at < 0:
        return at
    vma = find_vma_prev(mm, addr, &prev)
    if vma != NULL and vma.vm_start < addr + len_bytes:
        if do_munmap(m, mm, addr, len_bytes):
            return -ENOMEM
        find_vma_prev(mm, addr, &prev)
    pages = len_bytes >> m.page_shift
    if mm.map_count > m.sysctl.max_map_count or vm_enough_memory(m, mm, pages):
        return -ENOMEM
    vma = vma_merge(m, mm, prev, addr, addr + len_bytes, vm_flags, NULL, NULL, addr >> m.page_shift)
    if vma == NULL:
        vma = new_vma(m, mm, NULL, addr, len_bytes, vm_flags, addr >> m.page_shift)
        if vma == NULL:
            vm_unacct_memory(m, pages)
            return -ENOMEM
        vma_link(m, mm, vma)
    mm.total_vm += pages
    if vm_flags & VM_LOCKED and mlock_vma_pages_range(m, vma, addr, addr + len_bytes) == 0:
        mm.locked_vm += pages
    return addr


cdef int64_t brk_locked(machine* m, mm_struct* mm, uint64_t brk) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t newbrk = (brk + page_mask) & ~page_mask
    cdef uint64_t oldbrk = (mm.brk + page_mask) & ~page_mask
    cdef vm_area_struct* vma
    if brk < mm.start_brk:
        return mm.brk
    if newbrk == oldbrk:
        mm.brk = brk
    elif brk <= mm.brk:
        if do_munmap(m, mm, newbrk, oldbrk - newbrk):
            return mm.brk
    else:
        vma = find_vma(mm, oldbrk)
        if vma != NULL and vma.vm_start < newbrk + page_mask + 1 and vma.vm_end > oldbrk:
            return mm.brk
        if do_brk(m, mm, oldbrk, newbrk - oldbrk) != <int64_t>oldbrk:
            return mm.brk
    mm.brk = brk
    return brk


cdef int64_t sys_brk(machine* m, mm_struct* mm, uint64_t brk) noexcept nogil:
    """The new end of the heap, or the old one where it could not be moved."""
    cdef int64_t ret
    down_write(m, mm, False)
    ret = brk_locked(m, mm, brk)
    up_write(m, mm)
    return ret


cdef int insert_vm_struct(machine* m, mm_struct* mm, vm_area_struct* vma) noexcept nogil:
    """A VMA made by hand (exec's stack); anonymous memory gets its page offset: 0, -ENOMEM."""
    cdef vm_area_struct* there = find_vma(mm, vma.vm_start)
    if vma.vm_file == NULL:
        BUG_ON(m, vma.anon_vma != NULL, b"vma->anon_vma", b"insert_vm_struct")
        vma.vm_pgoff = vma.vm_start >> m.page_shift
    if there != NULL and there.vm_start < vma.vm_end:
        return -ENOMEM
    if vma.vm_flags & VM_ACCOUNT and vm_enough_memory(m, mm, vma_pages(m, vma)):
        return -ENOMEM
    if vma_link(m, mm, vma):
        if vma.vm_flags & VM_ACCOUNT:
            vm_unacct_memory(m, vma_pages(m, vma))
        return -ENOMEM
    return 0


cdef int acct_stack_growth(machine* m, vm_area_struct* vma, uint64_t size_bytes, uint64_t pages) noexcept nogil:
    """The limit of a stack, and what its growth commits: 0, -ENOMEM."""
    cdef mm_struct* mm = vma.vm_mm
    if size_bytes > STACK_LIMIT_BYTES:
        return -ENOMEM
    # the kernel commits growth of a mapping without VM_ACCOUNT too, and never gives that back
    if vma.vm_flags & VM_ACCOUNT and vm_enough_memory(m, mm, pages):
        return -ENOMEM
    mm.total_vm += pages
    if vma.vm_flags & VM_LOCKED:
        mm.locked_vm += pages
    vm_stat_account(mm, vma.vm_flags, vma.vm_file, pages)
    return 0


cdef int expand_stack(machine* m, vm_area_struct* vma, uint64_t va) noexcept nogil:
    """expand_downwards: a stack grows to take va in: 0, -ENOMEM. That it keeps off its neighbour is the guard page's business."""
    cdef uint64_t pages
    cdef int err = 0
    va &= ~((<uint64_t>1 << m.page_shift) - 1)
    if anon_vma_prepare(m, vma):
        return -ENOMEM
    anon_vma_lock(m, vma.anon_vma)
    if va < vma.vm_start:
        pages = (vma.vm_start - va) >> m.page_shift
        if pages > vma.vm_pgoff or (vma.vm_prev != NULL and va < vma.vm_prev.vm_end):
            err = -ENOMEM
        else:
            err = acct_stack_growth(m, vma, vma.vm_end - va, pages)
        if err == 0:
            vma.vm_start = va
            vma.vm_pgoff -= pages
    anon_vma_unlock(m, vma.anon_vma)
    return err
