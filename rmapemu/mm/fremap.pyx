# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# remap_file_pages: pages of a file in another order than their addresses, each noted in its entry while it is not present.
# Kernel: mm/fremap.c (v3.2). Where dirty pages are accounted for (regular files) the VMA is split instead, as there.
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint64_t, uint32_t
from rmapemu.hw.pte cimport pgoff_to_pte, pte_dirty, pte_file, pte_none, pte_present, pte_to_swp_entry
from rmapemu.mm.filemap cimport file_put
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport update_hiwater_rss, vm_normal_page
from rmapemu.mm.mlock cimport make_pages_present, mlock_vma_pages_range, munlock_vma_pages_range
from rmapemu.mm.mmap cimport MAP_NONBLOCK, find_vma, mmap_region
from rmapemu.mm.mmu_notifier cimport mmu_notifier_invalidate_range_end, mmu_notifier_invalidate_range_start
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.page_writeback cimport set_page_dirty
from rmapemu.mm.prio_tree cimport vma_nonlinear_insert, vma_prio_tree_remove
from rmapemu.mm.rmap_add cimport page_remove_rmap
from rmapemu.mm.swapfile cimport free_swap_and_cache
from rmapemu.mm.types cimport *


cdef void zap_pte(machine* m, vm_area_struct* vma, uint64_t va, uint64_t* pte) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t e = pte[0]
    cdef uint32_t pfn
    if not pte_present(m.hw.fmt, e):
        if not pte_file(m.hw.fmt, e):
            free_swap_and_cache(m, pte_to_swp_entry(m.hw.fmt, e))
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, m.hw.fmt.clear_value)
        return
    m.hw.cost.cache_flush_page += 1
    e = m.hw.ops.clear_flush(&m.hw, &mm.hw, va, pte)
    pfn = vm_normal_page(m, vma, va, e)
    if pfn == 0:
        return
    if pte_dirty(m.hw.fmt, e):
        set_page_dirty(m, pfn)
    page_remove_rmap(m, pfn)
    put_page(m, pfn)
    update_hiwater_rss(mm)
    mm.rss_stat[MM_FILEPAGES] -= 1


cdef int install_file_pte(machine* m, vm_area_struct* vma, uint64_t va, uint64_t pgoff) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t* pte = m.hw.ops.make_pte(&m.hw, &mm.hw, va)
    if pte == NULL:
        return -ENOMEM
    pte_lock(m, mm, va)
    if not pte_none(m.hw.fmt, pte[0]):
        zap_pte(m, vma, va, pte)
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, pgoff_to_pte(m.hw.fmt, pgoff))
    pte_unlock(m, mm)
    return 0


cdef int populate_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t size, uint64_t pgoff) noexcept nogil:
    cdef uint64_t va = start
    cdef int err = 0
    mmu_notifier_invalidate_range_start(m, vma.vm_mm, start, start + size)
    while va < start + size and err == 0:
        err = install_file_pte(m, vma, va, pgoff)
        va += <uint64_t>1 << m.page_shift
        pgoff += 1
    mmu_notifier_invalidate_range_end(m, vma.vm_mm, start, start + size)
    return err


cdef int remap_linear(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t start, uint64_t size, uint64_t pgoff,
                      uint64_t flags) noexcept nogil:
    """page_mkclean does not see nonlinear VMAs: a mapping of its own for the range."""
    cdef address_space* file = vma.vm_file
    cdef int64_t at
    file.refs += 1
    at = mmap_region(m, mm, file, start, size, flags & MAP_NONBLOCK, vma.vm_flags, pgoff)
    file_put(m, file)
    return <int>at if at < 0 else 0


cdef void make_nonlinear(machine* m, vm_area_struct* vma) noexcept nogil:
    i_mmap_lock(m, vma.vm_file)
    vma.vm_flags |= VM_NONLINEAR
    vma_prio_tree_remove(vma.vm_file, vma)
    vma_nonlinear_insert(vma.vm_file, vma)
    i_mmap_unlock(m, vma.vm_file)


cdef vm_area_struct* suitable_vma(mm_struct* mm, uint64_t start, uint64_t size) noexcept nogil:
    """One shared mapping of a file around the range; NULL: -EINVAL. vm_private_data is the cursor of a nonlinear VMA only."""
    cdef vm_area_struct* vma = find_vma(mm, start)
    if vma == NULL or not vma.vm_flags & VM_SHARED or not vma.vm_flags & VM_CAN_NONLINEAR:
        return NULL
    if vma.vm_private_data and not vma.vm_flags & VM_NONLINEAR:
        return NULL
    return vma if vma.vm_start <= start and start + size <= vma.vm_end else NULL


cdef int remap_nonlinear(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t start, uint64_t size, uint64_t pgoff, uint64_t flags,
                         bint* writing) noexcept nogil:
    cdef uint64_t vm_flags = vma.vm_flags
    cdef int err
    if vm_flags & VM_LOCKED:
        # what is mapped over is not locked any more
        munlock_vma_pages_range(m, vma, start, start + size)
        vma.vm_flags = vm_flags
    err = populate_range(m, vma, start, size, pgoff)
    if err or flags & MAP_NONBLOCK:
        return err
    if vm_flags & VM_LOCKED:
        mlock_vma_pages_range(m, vma, start, start + size)
    else:
        if writing[0]:
            downgrade_write(m, mm)
            writing[0] = False
        make_pages_present(m, mm, start, start + size)
    return 0


cdef int do_remap(machine* m, mm_struct* mm, uint64_t start, uint64_t size, uint64_t pgoff, uint64_t flags, bint* writing) noexcept nogil:
    cdef vm_area_struct* vma = suitable_vma(mm, start, size)
    if vma == NULL:
        return -EINVAL
    if not vma.vm_flags & VM_NONLINEAR:
        if pgoff == linear_page_index(m, vma, start):
            return 0
        # VM_NONLINEAR is set under the semaphore held for writing: once more from the start
        up_read(m, mm)
        down_write(m, mm, False)
        writing[0] = True
        vma = suitable_vma(mm, start, size)
        if vma == NULL:
            return -EINVAL
        if vma.vm_file.page_mkwrite:
            return remap_linear(m, mm, vma, start, size, pgoff, flags)
        make_nonlinear(m, vma)
    return remap_nonlinear(m, mm, vma, start, size, pgoff, flags, writing)


cdef int sys_remap_file_pages(machine* m, mm_struct* mm, uint64_t start, uint64_t size, uint64_t pgoff, uint64_t flags) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t pages
    cdef bint writing = False
    cdef int err
    start &= ~page_mask
    size &= ~page_mask
    pages = size >> m.page_shift
    if start + size <= start or pgoff + pages < pgoff:
        return -EINVAL
    if m.hw.fmt.file_max_bits < 64 and pgoff + pages >= <uint64_t>1 << m.hw.fmt.file_max_bits:
        return -EINVAL
    down_read(m, mm)
    err = do_remap(m, mm, start, size, pgoff, flags, &writing)
    if writing:
        up_write(m, mm)
    else:
        up_read(m, mm)
    return err
