# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Page faults: from the hardware's report to the handler for what stands in the entry; zero-filled memory.
# Kernel: mm/memory.c (handle_mm_fault, handle_pte_fault, do_anonymous_page, check_stack_guard_page), arch/*/mm/fault.c.
# Differs: the arch-neutral part of do_page_fault only; no stack pointer to compare with, so any access below a stack grows it.
from libc.errno cimport EINTR, ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_EXEC
from rmapemu.hw.pte cimport (mk_pte, pte_file, pte_mkdirty, pte_mkspecial, pte_mkwrite, pte_mkyoung, pte_none, pte_present,
                               pte_to_swp_entry, pte_write)
from rmapemu.mm.anon_vma cimport anon_vma_prepare
from rmapemu.mm.cow cimport do_wp_page
from rmapemu.mm.file_fault cimport do_linear_fault, do_nonlinear_fault
from rmapemu.mm.lock cimport *
from rmapemu.mm.mmap cimport expand_stack, find_vma
from rmapemu.mm.page_alloc cimport alloc_pages, put_page
from rmapemu.mm.rmap_add cimport page_add_new_anon_rmap
from rmapemu.mm.swapin cimport do_swap_page
from rmapemu.mm.swapin_plain cimport plain_slot, plain_swap_page


cdef void print_bad_pte(machine* m, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil:
    m.warnings += 1


cdef inline bint stack_guard_ok(machine* m, vm_area_struct* vma, uint64_t va) noexcept nogil:
    """check_stack_guard_page: the lowest page of a stack is never used; a fault there first grows the stack by one."""
    cdef vm_area_struct* prev
    if rm_likely(not vma.vm_flags & VM_GROWSDOWN) or va >> m.page_shift != vma.vm_start >> m.page_shift:
        return True
    prev = vma.vm_prev
    if prev != NULL and prev.vm_end == vma.vm_start:
        # a mapping right below: only another stack (a split one) may be
        return (prev.vm_flags & VM_GROWSDOWN) != 0
    expand_stack(m, vma, vma.vm_start - (<uint64_t>1 << m.page_shift))
    return True


cdef inline int map_zero_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, uint64_t* pte) noexcept nogil:
    pte_lock(m, mm, va)
    if pte_none(m.hw.fmt, pte[0]):
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, pte_mkspecial(m.hw.fmt, mk_pte(m.hw.fmt, m.zero_pfn, vma.vm_page_prot)))
        m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, ACCESS_READ)
    pte_unlock(m, mm)
    return 0


cdef inline int do_anonymous_page(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    cdef uint32_t pfn
    cdef uint64_t entry
    if not stack_guard_ok(m, vma, va):
        return VM_FAULT_SIGBUS
    if kind != ACCESS_WRITE and m.config.zero_page:
        return map_zero_page(m, mm, vma, va, pte)
    if vma.anon_vma == NULL and rm_unlikely(anon_vma_prepare(m, vma)):
        return VM_FAULT_OOM
    pfn = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    if rm_unlikely(pfn == 0):
        return VM_FAULT_OOM
    clear_user_highpage(m, pfn)
    m.pages[pfn].flags |= PG_uptodate
    entry = mk_pte(m.hw.fmt, pfn, vma.vm_page_prot)
    if vma.vm_flags & VM_WRITE:
        entry = pte_mkwrite(m.hw.fmt, pte_mkdirty(m.hw.fmt, entry))
    pte_lock(m, mm, va)
    if rm_unlikely(not pte_none(m.hw.fmt, pte[0])):
        # somebody was faster while we allocated
        pte_unlock(m, mm)
        put_page(m, pfn)
        return 0
    mm.rss_stat[MM_ANONPAGES] += 1
    page_add_new_anon_rmap(m, pfn, vma, va)
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
    m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, kind)
    pte_unlock(m, mm)
    return 0


cdef int fix_present(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t orig) noexcept nogil:
    """The entry is there: copy on write, or a young or dirty bit that software keeps, or a fault for nothing."""
    cdef uint64_t entry = orig
    pte_lock(m, mm, va)
    if rm_unlikely(pte[0] != orig):
        pte_unlock(m, mm)
        return 0
    if kind == ACCESS_WRITE:
        if not pte_write(m.hw.fmt, entry):
            return do_wp_page(m, mm, vma, va, pte, entry)
        entry = pte_mkdirty(m.hw.fmt, entry)
    entry = pte_mkyoung(m.hw.fmt, entry)
    if entry != orig:                       # ptep_set_access_flags
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, entry)
        m.hw.ops.flush_tlb_page(&m.hw, &mm.hw, va)
        m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, kind)
    elif kind == ACCESS_WRITE:              # flush_tlb_fix_spurious_fault
        m.hw.ops.flush_tlb_page(&m.hw, &mm.hw, va)
    pte_unlock(m, mm)
    return 0


cdef inline int handle_pte_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    cdef uint64_t orig = pte[0]
    cdef uint64_t entry
    if pte_none(m.hw.fmt, orig):
        if vma.vm_file == NULL:
            return do_anonymous_page(m, mm, vma, va, kind, pte)
        return do_linear_fault(m, mm, vma, va, kind, pte, orig)
    if pte_present(m.hw.fmt, orig):
        return fix_present(m, mm, vma, va, kind, pte, orig)
    if pte_file(m.hw.fmt, orig):
        return do_nonlinear_fault(m, mm, vma, va, kind, pte, orig)
    entry = pte_to_swp_entry(m.hw.fmt, orig)
    if rm_likely(plain_slot(m, vma, kind, entry)):
        return plain_swap_page(m, vma, va, kind, pte, entry)
    return do_swap_page(m, mm, vma, va, kind, pte, orig)


cdef inline int mm_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    count_vm_event(m, PGFAULT)
    if pte == NULL:
        # huge pages at level 1 (VM_HUGETLB, transparent ones) branch off here
        pte = m.hw.ops.make_pte(&m.hw, &mm.hw, va)
        if rm_unlikely(pte == NULL):
            return VM_FAULT_OOM
    return handle_pte_fault(m, mm, vma, va, kind, pte)


cdef int handle_mm_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    return mm_fault(m, mm, vma, va, kind, pte)


# ---------------------------------------------------------------- the arch-neutral part of do_page_fault
cdef inline bint access_permitted(machine* m, const vm_area_struct* vma, int kind) noexcept nogil:
    if rm_unlikely(kind == ACCESS_EXEC) and m.hw.fmt.has_nx:
        return (vma.vm_flags & VM_EXEC) != 0
    return (vma.vm_flags & (VM_WRITE if kind == ACCESS_WRITE else VM_READ | VM_WRITE | VM_EXEC)) != 0


cdef int fault_error(int ret) noexcept nogil:
    """mm_fault_error: what the access loop is told."""
    if ret & VM_FAULT_OOM:
        return -ENOMEM
    if ret & VM_FAULT_HWPOISON:
        return FAULT_SIGBUS_HWPOISON
    if ret & VM_FAULT_SIGBUS:
        return FAULT_SIGBUS_ADRERR
    return FAULT_WOULD_BLOCK


cdef vm_area_struct* find_or_grow(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    """The VMA of the address, after stack growth if it takes that; NULL: none."""
    cdef vm_area_struct* vma = find_vma(mm, va)
    if vma == NULL or vma.vm_start <= va:
        return vma
    if not vma.vm_flags & VM_GROWSDOWN or expand_stack(m, vma, va):
        return NULL
    return vma


cdef int do_page_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    cdef machine* m = <machine*>ctx
    cdef mm_struct* mm = <mm_struct*>s          # hw is its first member
    cdef vm_area_struct* vma
    cdef int ret
    if rm_unlikely(m.interrupted):
        return -EINTR
    m.current = mm
    down_read(m, mm)
    vma = mm.mmap_cache
    if rm_unlikely(vma == NULL or va < vma.vm_start or va >= vma.vm_end):
        vma = find_or_grow(m, mm, va)
        if vma == NULL:
            up_read(m, mm)
            return FAULT_SIGSEGV_MAPERR
    if rm_unlikely(not access_permitted(m, vma, kind)):
        up_read(m, mm)
        return FAULT_SIGSEGV_ACCERR
    ret = mm_fault(m, mm, vma, va, kind, pte)
    if rm_likely(not ret & VM_FAULT_ERROR):
        if ret & VM_FAULT_MAJOR:
            mm.maj_flt += 1
        else:
            mm.min_flt += 1
    up_read(m, mm)
    return fault_error(ret) if rm_unlikely(ret & VM_FAULT_ERROR) else 0
