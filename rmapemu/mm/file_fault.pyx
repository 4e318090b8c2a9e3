# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Faults in file mappings: the page cache's page is mapped, or a private copy of it where the access is a store.
# Kernel: mm/memory.c (__do_fault, do_linear_fault, do_nonlinear_fault).
# Differs: no throttling of dirtiers, no file times.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.hw.pte cimport mk_pte, pte_mkdirty, pte_to_pgoff
from rmapemu.mm.anon_vma cimport anon_vma_prepare
from rmapemu.mm.cow cimport page_mkwrite
from rmapemu.mm.filemap cimport filemap_fault
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport *
from rmapemu.mm.page_alloc cimport alloc_pages, get_page, put_page
from rmapemu.mm.page_writeback cimport set_page_dirty
from rmapemu.mm.rmap_add cimport page_add_file_rmap, page_add_new_anon_rmap
from rmapemu.mm.shmem cimport shmem_fault
from rmapemu.mm.types cimport *


cdef inline int vm_ops_fault(machine* m, vm_area_struct* vma, uint64_t pgoff, uint32_t* pfn) noexcept nogil:
    """->fault: VM_FAULT_* bits, without an error one with the page locked and referenced."""
    cdef bint major = False
    cdef int error
    if vma.vm_file.kind == FILE_SHMEM:
        error = shmem_fault(m, vma, pgoff, pfn, &major)
    else:
        error = filemap_fault(m, vma, pgoff, pfn, &major)
    if error:
        return VM_FAULT_OOM if error == -ENOMEM else VM_FAULT_SIGBUS
    if m.pages[pfn[0]].flags & PG_hwpoison:
        unlock_page(m, pfn[0])
        return VM_FAULT_HWPOISON
    return VM_FAULT_MAJOR if major else 0


cdef inline void set_file_pte(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte,
                              uint32_t pfn) noexcept nogil:
    cdef uint64_t entry = mk_pte(m.hw.fmt, pfn, vma.vm_page_prot)
    if kind == ACCESS_WRITE:
        entry = maybe_mkwrite(m, vma, pte_mkdirty(m.hw.fmt, entry))
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
    m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, kind)


cdef int fault_private_write(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint64_t orig,
                             uint64_t pgoff) noexcept nogil:
    """The copy is allocated before the page cache's page is locked."""
    cdef uint32_t copy, found = 0
    cdef int ret
    if anon_vma_prepare(m, vma):
        return VM_FAULT_OOM
    copy = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    if copy == 0:
        return VM_FAULT_OOM
    ret = vm_ops_fault(m, vma, pgoff, &found)
    if ret & VM_FAULT_ERROR:
        put_page(m, copy)
        return ret
    copy_user_highpage(m, copy, found)
    m.pages[copy].flags |= PG_uptodate
    pte_lock(m, mm, va)
    if pte[0] == orig:
        mm.rss_stat[MM_ANONPAGES] += 1
        page_add_new_anon_rmap(m, copy, vma, va)
        set_file_pte(m, mm, vma, va, ACCESS_WRITE, pte, copy)
        copy = 0
    pte_unlock(m, mm)
    if copy:
        put_page(m, copy)
    unlock_page(m, found)
    put_page(m, found)
    return ret


cdef int fault_mapped(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig,
                      uint64_t pgoff) noexcept nogil:
    """A load, or a store through a shared mapping: the page cache's page itself is mapped."""
    cdef uint32_t pfn = 0
    cdef bint dirty = False
    cdef int error
    cdef int ret = vm_ops_fault(m, vma, pgoff, &pfn)
    if ret & VM_FAULT_ERROR:
        return ret
    if kind == ACCESS_WRITE and vma.vm_file.page_mkwrite:
        unlock_page(m, pfn)
        error = page_mkwrite(m, vma, pfn)
        if error:
            put_page(m, pfn)
            return error
    pte_lock(m, mm, va)
    if pte[0] != orig:
        pte_unlock(m, mm)
        unlock_page(m, pfn)
        put_page(m, pfn)
        return ret
    # the reference of the lookup becomes the entry's
    mm.rss_stat[MM_FILEPAGES] += 1
    page_add_file_rmap(m, pfn)
    if kind == ACCESS_WRITE:
        dirty = True
        get_page(m, pfn)
    set_file_pte(m, mm, vma, va, kind, pte, pfn)
    pte_unlock(m, mm)
    if dirty:
        set_page_dirty(m, pfn)
    unlock_page(m, pfn)
    if dirty:
        put_page(m, pfn)
    return ret


cdef inline int __do_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig,
                           uint64_t pgoff) noexcept nogil:
    if kind == ACCESS_WRITE and not vma.vm_flags & VM_SHARED:
        return fault_private_write(m, mm, vma, va, pte, orig, pgoff)
    return fault_mapped(m, mm, vma, va, kind, pte, orig, pgoff)


cdef int do_linear_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte,
                         uint64_t orig) noexcept nogil:
    return __do_fault(m, mm, vma, va, kind, pte, orig, linear_page_index(m, vma, va))


cdef int do_nonlinear_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte,
                            uint64_t orig) noexcept nogil:
    if not vma.vm_flags & VM_NONLINEAR:
        print_bad_pte(m, vma, va, orig)
        return VM_FAULT_SIGBUS
    return __do_fault(m, mm, vma, va, kind, pte, orig, pte_to_pgoff(m.hw.fmt, orig))
