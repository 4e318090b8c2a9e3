# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Pages of user memory as the kernel reaches for them: looked up without the MMU, faulted in where they are missing.
# Kernel: mm/memory.c (v3.2), follow_page and __get_user_pages, as far as mlock, munlock and MAP_POPULATE need them.
# Differs: one VMA at a time, no array of pages; mmap_sem is never dropped in between.
from libc.errno cimport EFAULT, ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_READ, ACCESS_WRITE
from rmapemu.hw.pte cimport pte_dirty, pte_present, pte_write
from rmapemu.mm.filemap cimport set_page_dirty
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport handle_mm_fault, vm_normal_page, VM_FAULT_ERROR, VM_FAULT_MAJOR, VM_FAULT_OOM
from rmapemu.mm.mlock cimport mlock_vma_page
from rmapemu.mm.page_alloc cimport get_page
from rmapemu.mm.swap_lru cimport mark_page_accessed
from rmapemu.mm.types cimport *


cdef uint32_t follow_present(machine* m, vm_area_struct* vma, uint64_t va, const uint64_t* pte) noexcept nogil:
    cdef uint32_t pfn = 0
    pte_lock(m, vma.vm_mm, va)
    if pte_present(m.hw.fmt, pte[0]):
        pfn = vm_normal_page(m, vma, va, pte[0])
        if pfn:
            get_page(m, pfn)
    pte_unlock(m, vma.vm_mm)
    return pfn


cdef bint follow_touch(machine* m, vm_area_struct* vma, uint64_t va, int foll) noexcept nogil:
    """follow_page with FOLL_TOUCH: is there an entry that serves? Its page is marked, and mlocked where that is asked for."""
    cdef const uint64_t* pte = m.hw.ops.find_pte(&m.hw, &vma.vm_mm.hw, va)
    cdef uint32_t pfn
    cdef page* p
    cdef bint served
    if pte == NULL:
        return False
    pte_lock(m, vma.vm_mm, va)
    served = pte_present(m.hw.fmt, pte[0]) and (not foll & FOLL_WRITE or pte_write(m.hw.fmt, pte[0]))
    pfn = vm_normal_page(m, vma, va, pte[0]) if served else 0
    if pfn:
        p = &m.pages[pfn]
        if foll & FOLL_WRITE and not p.flags & PG_dirty and not pte_dirty(m.hw.fmt, pte[0]):
            set_page_dirty(m, pfn)
        mark_page_accessed(m, pfn)
        if foll & FOLL_MLOCK and vma.vm_flags & VM_LOCKED and p.mapping and trylock_page(m, pfn):
            mlock_vma_page(m, pfn)
            unlock_page(m, pfn)
    pte_unlock(m, vma.vm_mm)
    return served


cdef inline bint stack_guard_page(machine* m, const vm_area_struct* vma, uint64_t va) noexcept nogil:
    """The lowest page of a stack, which is not there to be used, unless it goes on below."""
    if not vma.vm_flags & VM_GROWSDOWN or va != vma.vm_start:
        return False
    return vma.vm_prev == NULL or vma.vm_prev.vm_end != va or not vma.vm_prev.vm_flags & VM_GROWSDOWN


cdef int get_user_pages(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, int foll) noexcept nogil:
    cdef uint64_t wanted = VM_WRITE | VM_MAYWRITE if foll & FOLL_WRITE else VM_READ | VM_MAYREAD
    cdef int ret
    wanted &= VM_MAYREAD | VM_MAYWRITE if foll & FOLL_FORCE else VM_READ | VM_WRITE
    if vma.vm_flags & (VM_IO | VM_PFNMAP) or not vma.vm_flags & wanted:
        return -EFAULT
    while start < end:
        if not stack_guard_page(m, vma, start):
            while not follow_touch(m, vma, start, foll):
                ret = handle_mm_fault(m, vma.vm_mm, vma, start, ACCESS_WRITE if foll & FOLL_WRITE else ACCESS_READ, NULL)
                if ret & VM_FAULT_ERROR:
                    return -ENOMEM if ret & VM_FAULT_OOM else -EFAULT
                if ret & VM_FAULT_MAJOR:
                    vma.vm_mm.maj_flt += 1
                else:
                    vma.vm_mm.min_flt += 1
        start += <uint64_t>1 << m.page_shift
    return 0
