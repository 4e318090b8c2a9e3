# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Address spaces come and go: a new one, a copy, exec's fresh one with its stack, the last user's leaving.
# Kernel: kernel/fork.c (mm_alloc, dup_mm, dup_mmap, mmput), fs/exec.c (bprm_mm_init, setup_arg_pages, exec_mmap).
# Differs: no threads (mm_users is 1); by how much exec's stack moves, which is random there, is the caller's to say.
from libc.errno cimport EFAULT, ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_WRITE
from rmapemu.mm.anon_vma cimport anon_vma_fork
from rmapemu.mm.kmem cimport kmem_cache_free, kmem_cache_zalloc
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport copy_page_range, get_mm_rss, handle_mm_fault, VM_FAULT_ERROR
from rmapemu.mm.mmap cimport *
from rmapemu.mm.mmlist cimport mmlist_add, mmlist_del
from rmapemu.mm.mmu_notifier cimport mmu_notifier_release
from rmapemu.mm.mremap cimport move_page_tables
from rmapemu.mm.prio_tree cimport vma_nonlinear_add, vma_prio_tree_insert
from rmapemu.mm.types cimport *

cdef enum:
    STACK_GAP_BYTES = 128 << 20         # kept free below the top of the address space
    STACK_EXPAND_BYTES = 128 << 10      # room that exec gives a stack at once
    START_BRK = 1 << 30                 # where the heap of a fresh address space begins


# ---------------------------------------------------------------- a new mm
cdef void mm_init(machine* m, mm_struct* mm) noexcept nogil:
    mm.task_size = mm.hw.asce_limit
    if m.hw.fmt.levels == m.hw.fmt.max_levels:
        mm.task_size = (<uint64_t>1 << m.hw.fmt.user_bits) - (<uint64_t>1 << m.page_shift)
    mm.mmap_base = mm.task_size - STACK_GAP_BYTES
    mm.free_area_cache = mm.mmap_base
    mm.cached_hole_size = ~<uint64_t>0
    mm.start_brk = START_BRK
    mm.brk = START_BRK
    mm.mm_users = 1
    mm.in_use = 1


cdef mm_struct* mm_alloc(machine* m) noexcept nogil:
    cdef mm_struct* mm = <mm_struct*>kmem_cache_zalloc(m, KMEM_MM, GFP_KERNEL)
    if mm == NULL:
        return NULL
    if m.hw.ops.init_mm(&m.hw, &mm.hw):
        kmem_cache_free(m, KMEM_MM, mm)
        return NULL
    mm_init(m, mm)
    mm.pid = <uint32_t>m.next_pid
    m.next_pid += 1
    m.nr_mms += 1
    return mm


cdef void mmput(machine* m, mm_struct* mm) noexcept nogil:
    mmu_notifier_release(m, mm)
    exit_mmap(m, mm)
    mmlist_del(m, mm)
    if m.swap_token_mm == mm:
        m.swap_token_mm = NULL
    if m.current == mm:
        m.current = NULL
    m.hw.ops.exit_mm(&m.hw, &mm.hw)
    # a lock goes with its mm, whoever holds it
    m.nr_held_other -= (mm.mmap_sem_other != 0) + (mm.page_table_lock_other != PTL_NONE)
    mm.in_use = 0
    mm.mm_users = 0
    m.nr_mms -= 1
    kmem_cache_free(m, KMEM_MM, mm)


# ---------------------------------------------------------------- fork
cdef void inherit(mm_struct* mm, mm_struct* old) noexcept nogil:
    """What dup_mm copies of the struct; the rest is mm_init's: nothing is locked, now or to come."""
    mm.task_size = old.task_size
    mm.mmap_base = old.mmap_base
    mm.free_area_cache = old.mmap_base
    mm.start_brk = old.start_brk
    mm.brk = old.brk
    mm.start_stack = old.start_stack
    mm.total_vm = old.total_vm
    mm.shared_vm = old.shared_vm
    mm.exec_vm = old.exec_vm
    mm.stack_vm = old.stack_vm
    mm.faultstamp = old.faultstamp
    mm.memcg = old.memcg
    mm.dumpable = old.dumpable


cdef void share_file(machine* m, vm_area_struct* tmp, vm_area_struct* mpnt) noexcept nogil:
    cdef address_space* a = tmp.vm_file
    if a == NULL:
        return
    a.refs += 1
    i_mmap_lock(m, a)
    if tmp.vm_flags & VM_SHARED:
        a.i_mmap_writable += 1
    if tmp.vm_flags & VM_NONLINEAR:
        vma_nonlinear_add(a, tmp, mpnt)
    else:
        vma_prio_tree_insert(a, tmp)
    i_mmap_unlock(m, a)


cdef int dup_vma(machine* m, mm_struct* mm, mm_struct* old, vm_area_struct* mpnt) noexcept nogil:
    """One VMA of dup_mmap: 0, or -ENOMEM with what was linked left to exit_mmap."""
    cdef uint64_t pages = (mpnt.vm_end - mpnt.vm_start) >> m.page_shift
    cdef uint64_t charge = pages if mpnt.vm_flags & VM_ACCOUNT else 0
    cdef vm_area_struct* tmp
    cdef uint32_t serial
    if vma_array_room(m, mm) or (charge and vm_enough_memory(m, mm, charge)):
        return -ENOMEM
    tmp = vma_alloc(m)
    if tmp == NULL:
        m.committed_as -= charge
        return -ENOMEM
    serial = tmp.serial
    tmp[0] = mpnt[0]
    tmp.serial = serial
    tmp.vm_mm = mm
    tmp.leaf.key = ~<uint64_t>0
    tmp.avc_head = NULL
    tmp.avc_tail = NULL
    if anon_vma_fork(m, tmp, mpnt):
        m.committed_as -= charge
        kmem_cache_free(m, KMEM_VMA, tmp)
        return -ENOMEM
    tmp.vm_flags &= ~<uint64_t>VM_LOCKED
    share_file(m, tmp, mpnt)
    vma_array_insert(mm, tmp)
    return copy_page_range(m, mm, old, mpnt, tmp)


cdef int dup_mmap(machine* m, mm_struct* mm, mm_struct* old) noexcept nogil:
    cdef vm_area_struct* mpnt
    cdef uint64_t pages
    cdef int err = 0
    down_write(m, old, False)
    down_write(m, mm, True)
    mpnt = old.mmap
    while mpnt != NULL and err == 0:
        if mpnt.vm_flags & VM_DONTCOPY:
            pages = (mpnt.vm_end - mpnt.vm_start) >> m.page_shift
            mm.total_vm -= pages
            vm_stat_account(mm, mpnt.vm_flags, mpnt.vm_file, -<int64_t>pages)
        else:
            err = dup_vma(m, mm, old, mpnt)
        mpnt = mpnt.vm_next
    up_write(m, mm)
    m.hw.ops.flush_tlb_mm(&m.hw, &old.hw)
    up_write(m, old)
    return err


cdef mm_struct* dup_mm(machine* m, mm_struct* old) noexcept nogil:
    cdef mm_struct* mm = mm_alloc(m)
    if mm == NULL:
        return NULL
    inherit(mm, old)
    if (old.hw.levels > mm.hw.levels and m.hw.ops.grow_mm(&m.hw, &mm.hw, old.task_size)) or dup_mmap(m, mm, old):
        mmput(m, mm)
        m.next_pid -= 1
        return NULL
    mm.hiwater_rss = get_mm_rss(mm)
    mm.hiwater_vm = mm.total_vm
    return mm


# ---------------------------------------------------------------- exec
cdef int shift_arg_pages(machine* m, vm_area_struct* vma, uint64_t shift) noexcept nogil:
    """The temporary stack moves down: 0, -EFAULT, -ENOMEM. The reverse map finds its pages at the old place until the entries are at
    the new one, or nowhere: migration, which cannot do with that, leaves such VMAs alone.
    """
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t start = vma.vm_start, end = vma.vm_end
    cdef uint64_t ceiling
    BUG_ON(m, start - shift > end - shift, b"new_start > new_end", b"shift_arg_pages")
    if vma != find_vma(mm, start - shift):
        return -EFAULT
    if vma_adjust(m, vma, start - shift, end, vma.vm_pgoff, NULL):
        return -ENOMEM
    if move_page_tables(m, vma, start, vma, start - shift, end - start) != end - start:
        return -ENOMEM
    ceiling = vma.vm_next.vm_start if vma.vm_next != NULL else 0
    m.hw.ops.free_pgd_range(&m.hw, &mm.hw, max(start, end - shift), end, end - shift, ceiling)
    vma_adjust(m, vma, start - shift, end - shift, vma.vm_pgoff, NULL)
    return 0


cdef int bprm_mm_init(machine* m, mm_struct* mm, uint64_t stack_shift) noexcept nogil:
    """A stack VMA of one page at the top, marked incomplete while the arguments are copied in: 0, -errno."""
    cdef uint64_t page_bytes = <uint64_t>1 << m.page_shift
    cdef vm_area_struct* vma = vma_alloc(m)
    cdef int err
    if vma == NULL:
        return -ENOMEM
    vma.vm_mm = mm
    vma.vm_end = mm.task_size & ~(page_bytes - 1)
    vma.vm_start = vma.vm_end - page_bytes
    vma.vm_flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_GROWSDOWN | VM_ACCOUNT | VM_STACK_INCOMPLETE_SETUP
    vma.vm_page_prot = vm_get_page_prot(m, vma.vm_flags)
    vma.vm_pgoff = vma.vm_start >> m.page_shift
    if insert_vm_struct(m, mm, vma):
        kmem_cache_free(m, KMEM_VMA, vma)
        return -ENOMEM
    mm.total_vm = 1
    mm.stack_vm = 1
    if handle_mm_fault(m, mm, vma, vma.vm_start, ACCESS_WRITE, NULL) & VM_FAULT_ERROR:
        return -ENOMEM
    # setup_arg_pages: the stack moves to its place, stands, and gets room to begin with
    if stack_shift:
        err = shift_arg_pages(m, vma, stack_shift)
        if err:
            return err
    vma.vm_flags &= ~<uint64_t>VM_STACK_INCOMPLETE_SETUP
    mm.start_stack = vma.vm_end - sizeof(uint64_t)
    return expand_stack(m, vma, vma.vm_start - STACK_EXPAND_BYTES)


cdef void take_over(machine* m, mm_struct* mm, mm_struct* new) noexcept nogil:
    """The process keeps its mm_struct and its pid; the address space in it becomes the new one. Neither is on the mmlist."""
    cdef mm_struct old = mm[0]
    cdef vm_area_struct* vma
    mm[0] = new[0]
    new[0] = old
    mm.pid, new.pid = new.pid, mm.pid
    mm.memcg = old.memcg
    mm.maj_flt = old.maj_flt
    mm.min_flt = old.min_flt
    vma = mm.mmap
    while vma != NULL:
        vma.vm_mm = mm
        vma = vma.vm_next
    vma = new.mmap
    while vma != NULL:
        vma.vm_mm = new
        vma = vma.vm_next


cdef int exec_mmap(machine* m, mm_struct* mm, uint64_t stack_shift) noexcept nogil:
    cdef mm_struct* new = mm_alloc(m)
    cdef bint listed
    cdef int err
    if new == NULL:
        return -ENOMEM
    down_write(m, new, False)
    err = bprm_mm_init(m, new, stack_shift)
    if err:
        up_write(m, new)
        mmput(m, new)
        m.next_pid -= 1
        return err
    up_write(m, new)
    # the list of mms with swap entries goes by address: both leave it while they change places
    listed = mmlist_del(m, new)
    mmlist_del(m, mm)
    if m.swap_token_mm == mm:
        m.swap_token_mm = NULL              # it was the old address space's
    mmu_notifier_release(m, mm)
    take_over(m, mm, new)
    if listed:
        mmlist_add(m, mm)
    mmput(m, new)
    m.next_pid -= 1
    m.current = mm
    return 0
