# SPDX-License-Identifier: GPL-2.0-only
# Finding VMAs, linking them into their mm and file, and the counters of an address space.
# Kernel: mm/mmap.c (find_vma, find_vma_prev, vma_link, unlink_file_vma, vm_stat_account, __vm_enough_memory).

cdef uint32_t vma_index(const mm_struct* mm, uint64_t va) noexcept nogil:
    """Index in mm.vmas of the first VMA that ends above va; map_count: none."""
    cdef uint32_t low = 0, high = mm.map_count, mid
    while low < high:
        mid = (low + high) // 2
        if mm.vmas[mid].vm_end > va:
            high = mid
        else:
            low = mid + 1
    return low


cdef vm_area_struct* find_vma(mm_struct* mm, uint64_t va) noexcept nogil:
    cdef vm_area_struct* vma = mm.mmap_cache
    cdef uint32_t i
    if vma != NULL and vma.vm_start <= va < vma.vm_end:
        return vma
    i = vma_index(mm, va)
    if i == mm.map_count:
        return NULL
    mm.mmap_cache = mm.vmas[i]
    return mm.vmas[i]


cdef vm_area_struct* find_vma_prev(mm_struct* mm, uint64_t va, vm_area_struct** prev) noexcept nogil:
    """find_vma, and in *prev the VMA before it (the last one where there is none)."""
    cdef uint32_t i = vma_index(mm, va)
    prev[0] = mm.vmas[i - 1] if i else NULL
    return mm.vmas[i] if i < mm.map_count else NULL


cdef vm_area_struct* vma_alloc(machine* m) noexcept nogil:
    cdef vm_area_struct* vma = <vm_area_struct*>kmem_cache_zalloc(m, KMEM_VMA, GFP_KERNEL)
    if vma != NULL:
        vma.leaf.key = ~<uint64_t>0
        vma.serial = <uint32_t>m.kmem[KMEM_VMA].allocated
    return vma


cdef int vma_array_room(machine* m, mm_struct* mm) noexcept nogil:
    """Room for two VMAs more in the array, before anything is changed: 0, -ENOMEM."""
    cdef uint32_t most = mm.vmas_max * 2 if mm.vmas_max else FIRST_VMAS
    cdef vm_area_struct** vmas
    if mm.map_count + 2 <= mm.vmas_max:
        return 0
    vmas = <vm_area_struct**>kmalloc(m, most * sizeof(void*), GFP_KERNEL)
    if vmas == NULL:
        return -ENOMEM
    if mm.vmas != NULL:
        memcpy(vmas, mm.vmas, mm.map_count * sizeof(void*))
        kfree(m, mm.vmas, mm.vmas_max * sizeof(void*))
    mm.vmas = vmas
    mm.vmas_max = most
    return 0


cdef void vma_array_insert(mm_struct* mm, vm_area_struct* vma) noexcept nogil:
    """__vma_link: the array, the list, map_count. There is room."""
    cdef uint32_t i = vma_index(mm, vma.vm_start)
    memmove(&mm.vmas[i + 1], &mm.vmas[i], (mm.map_count - i) * sizeof(void*))
    mm.vmas[i] = vma
    mm.map_count += 1
    vma.vm_prev = mm.vmas[i - 1] if i else NULL
    vma.vm_next = mm.vmas[i + 1] if i + 1 < mm.map_count else NULL
    if vma.vm_prev != NULL:
        vma.vm_prev.vm_next = vma
    else:
        mm.mmap = vma
    if vma.vm_next != NULL:
        vma.vm_next.vm_prev = vma


cdef void vma_array_remove(mm_struct* mm, vm_area_struct* vma, uint32_t i) noexcept nogil:
    memmove(&mm.vmas[i], &mm.vmas[i + 1], (mm.map_count - i - 1) * sizeof(void*))
    mm.map_count -= 1
    if vma.vm_prev != NULL:
        vma.vm_prev.vm_next = vma.vm_next
    else:
        mm.mmap = vma.vm_next
    if vma.vm_next != NULL:
        vma.vm_next.vm_prev = vma.vm_prev
    if mm.mmap_cache == vma:
        mm.mmap_cache = NULL


# ---------------------------------------------------------------- files
cdef void vma_link_file(machine* m, vm_area_struct* vma) noexcept nogil:
    """__vma_link_file under i_mmap_mutex."""
    cdef address_space* a = vma.vm_file
    if a == NULL:
        return
    i_mmap_lock(m, a)
    link_file_locked(a, vma)
    i_mmap_unlock(m, a)


cdef void link_file_locked(address_space* a, vm_area_struct* vma) noexcept nogil:
    if vma.vm_flags & VM_SHARED:
        a.i_mmap_writable += 1
    if vma.vm_flags & VM_NONLINEAR:
        vma_nonlinear_insert(a, vma)
    else:
        vma_prio_tree_insert(a, vma)


cdef void unlink_file_locked(address_space* a, vm_area_struct* vma) noexcept nogil:
    if vma.vm_flags & VM_SHARED:
        a.i_mmap_writable -= 1
    if vma.vm_flags & VM_NONLINEAR:
        vma_nonlinear_remove(a, vma)
    else:
        vma_prio_tree_remove(a, vma)


cdef void vma_unlink_file(machine* m, vm_area_struct* vma) noexcept nogil:
    cdef address_space* a = vma.vm_file
    if a == NULL:
        return
    i_mmap_lock(m, a)
    unlink_file_locked(a, vma)
    i_mmap_unlock(m, a)


cdef int vma_link(machine* m, mm_struct* mm, vm_area_struct* vma) noexcept nogil:
    if vma_array_room(m, mm):
        return -ENOMEM
    vma_array_insert(mm, vma)
    vma_link_file(m, vma)
    return 0


# ---------------------------------------------------------------- counters
cdef void vm_stat_account(mm_struct* mm, uint64_t vm_flags, address_space* file, int64_t pages) noexcept nogil:
    if file != NULL:
        mm.shared_vm += pages
        if (vm_flags & (VM_EXEC | VM_WRITE)) == VM_EXEC:
            mm.exec_vm += pages
    elif vm_flags & VM_GROWSDOWN:
        mm.stack_vm += pages


cdef int vm_enough_memory(machine* m, mm_struct* mm, uint64_t pages) noexcept nogil:
    """__vm_enough_memory for an ordinary user: 0 with the pages committed, -ENOMEM with nothing changed."""
    cdef uint64_t* stat = m.zones[0].vm_stat
    cdef int64_t free
    if m.sysctl.overcommit_memory == 0:
        free = <int64_t>(stat[NR_FREE_PAGES] + stat[NR_FILE_PAGES] - stat[NR_SHMEM] + stat[NR_SLAB_RECLAIMABLE]) + m.nr_swap_pages
        free -= <int64_t>m.zones[0].watermark[WMARK_HIGH]
        free -= free // 32
        if free <= <int64_t>pages:
            return -ENOMEM
    elif m.sysctl.overcommit_memory == 2:
        free = <int64_t>(m.zones[0].present_pages * m.sysctl.overcommit_ratio // 100)
        free = free - free // 32 + m.total_swap_pages - <int64_t>(mm.total_vm // 32)
        if <int64_t>(m.committed_as + pages) >= free:
            return -ENOMEM
    m.committed_as += pages
    return 0


cdef inline void vm_unacct_memory(machine* m, uint64_t pages) noexcept nogil:
    m.committed_as -= pages
