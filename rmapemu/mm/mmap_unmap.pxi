# SPDX-License-Identifier: GPL-2.0-only
# Taking VMAs away, with their pages and tables. Kernel: mm/mmap.c (do_munmap, unmap_region, remove_vma, exit_mmap).

cdef void remove_vma(machine* m, vm_area_struct* vma) noexcept nogil:
    if vma.vm_file != NULL:
        file_put(m, vma.vm_file)
    kmem_cache_free(m, KMEM_VMA, vma)


cdef void detach_vmas(machine* m, mm_struct* mm, uint32_t first, uint32_t behind) noexcept nogil:
    """VMAs [first, behind) of the array leave it and stay linked to each other only."""
    cdef vm_area_struct* prev = mm.vmas[first - 1] if first else NULL
    cdef vm_area_struct* next = mm.vmas[behind] if behind < mm.map_count else NULL
    mm.vmas[first].vm_prev = NULL
    mm.vmas[behind - 1].vm_next = NULL
    memmove(&mm.vmas[first], &mm.vmas[behind], (mm.map_count - behind) * sizeof(void*))
    mm.map_count -= behind - first
    if prev != NULL:
        prev.vm_next = next
    else:
        mm.mmap = next
    if next != NULL:
        next.vm_prev = prev
    mm.mmap_cache = NULL
    # arch_unmap_area_topdown: the next search may begin here
    mm.free_area_cache = min(max(mm.free_area_cache, next.vm_start if next != NULL else mm.mmap_base), mm.mmap_base)


cdef void munlock_detached(machine* m, mm_struct* mm, uint32_t first, uint32_t behind) noexcept nogil:
    cdef vm_area_struct* vma
    for i in range(first, behind):
        vma = mm.vmas[i]
        if vma.vm_flags & VM_LOCKED:
            mm.locked_vm -= vma_pages(m, vma)
            munlock_vma_pages_range(m, vma, vma.vm_start, vma.vm_end)


cdef void remove_vma_list(machine* m, mm_struct* mm, vm_area_struct* vma) noexcept nogil:
    cdef vm_area_struct* next
    update_hiwater_vm(mm)
    while vma != NULL:
        next = vma.vm_next
        mm.total_vm -= vma_pages(m, vma)
        vm_stat_account(mm, vma.vm_flags, vma.vm_file, -<int64_t>vma_pages(m, vma))
        remove_vma(m, vma)
        vma = next


cdef void unmap_region(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t start, uint64_t end, uint64_t floor,
                       uint64_t ceiling) noexcept nogil:
    """Pages, page tables and what was committed for a detached list of VMAs."""
    cdef mmu_gather tlb
    tlb_gather_mmu(&tlb, mm, end == ~<uint64_t>0)
    update_hiwater_rss(mm)
    vm_unacct_memory(m, unmap_vmas(m, &tlb, vma, start, end, NULL))
    free_pgtables(m, vma, floor, ceiling)
    tlb_finish_mmu(m, &tlb)


cdef void unmap_detached(machine* m, mm_struct* mm, uint64_t start, uint64_t end) noexcept nogil:
    """All VMAs of [start, end), which no VMA crosses: out of the mm, then unmap_region, then freed."""
    cdef uint32_t first = vma_index(mm, start)
    cdef uint32_t behind = first
    cdef vm_area_struct* vma
    cdef uint64_t floor, ceiling
    while behind < mm.map_count and mm.vmas[behind].vm_start < end:
        behind += 1
    if behind == first:
        return
    vma = mm.vmas[first]
    floor = mm.vmas[first - 1].vm_end if first else 0
    ceiling = mm.vmas[behind].vm_start if behind < mm.map_count else 0
    if mm.locked_vm:
        munlock_detached(m, mm, first, behind)
    detach_vmas(m, mm, first, behind)
    unmap_region(m, mm, vma, start, end, floor, ceiling)
    remove_vma_list(m, mm, vma)


cdef int do_munmap(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef vm_area_struct* vma
    cdef vm_area_struct* last
    cdef uint64_t end
    cdef bint cut
    cdef int err
    if start & page_mask or start > mm.task_size or len_bytes > mm.task_size - start:
        return -EINVAL
    len_bytes = (len_bytes + page_mask) & ~page_mask
    if len_bytes == 0:
        return -EINVAL
    end = start + len_bytes
    vma = find_vma(mm, start)
    if vma == NULL or vma.vm_start >= end:
        return 0
    cut = start > vma.vm_start
    if cut:
        # the limit may be passed while unmapping, but not be passed after it
        if end < vma.vm_end and mm.map_count >= m.sysctl.max_map_count:
            return -ENOMEM
        err = __split_vma(m, mm, vma, start, 0)
        if err:
            return err
    last = find_vma(mm, end)
    if last != NULL and end > last.vm_start:
        err = __split_vma(m, mm, last, end, 1)
        if err:
            if cut:
                unsplit_vma(m, vma, vma.vm_next)
            return err
    unmap_detached(m, mm, start, end)
    return 0


cdef int sys_munmap(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes) noexcept nogil:
    cdef int ret
    down_write(m, mm, False)
    ret = do_munmap(m, mm, start, len_bytes)
    up_write(m, mm)
    return ret


cdef void exit_mmap(machine* m, mm_struct* mm) noexcept nogil:
    if mm.map_count:
        unmap_detached(m, mm, 0, ~<uint64_t>0)
    kfree(m, mm.vmas, mm.vmas_max * sizeof(void*))
    mm.vmas = NULL
    mm.vmas_max = 0
