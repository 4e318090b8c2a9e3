# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# VMAs of an mm: finding, linking, placing, mapping. Merging, splitting and unmapping stand in the included files.
# Kernel: mm/mmap.c (v3.2). Differs: find_vma searches a sorted array, not a red-black tree; no RLIMIT_*; no address randomisation.
from libc.errno cimport EINVAL, ENOMEM, EOVERFLOW
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove
from rmapemu.mm.anon_vma cimport anon_vma_clone, anon_vma_prepare, unlink_anon_vmas
from rmapemu.mm.filemap cimport file_open, file_put
from rmapemu.mm.kmem cimport kfree, kmalloc, kmem_cache_free, kmem_cache_zalloc
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport update_hiwater_rss, update_hiwater_vm
from rmapemu.mm.mlock cimport make_pages_present, mlock_vma_pages_range, munlock_vma_pages_range
from rmapemu.mm.prio_tree cimport *
from rmapemu.mm.types cimport *
from rmapemu.mm.zap cimport free_pgtables, mmu_gather, tlb_finish_mmu, tlb_gather_mmu, unmap_vmas

cdef enum:
    STACK_LIMIT_BYTES = 8 << 20             # RLIMIT_STACK (_STK_LIM)
    FIRST_VMAS = 16                         # room of a new mm's array

include "mmap_link.pxi"
include "mmap_merge.pxi"
include "mmap_unmap.pxi"
include "mmap_brk.pxi"


# ---------------------------------------------------------------- where a new mapping goes
cdef uint64_t unmapped_area_topdown(machine* m, mm_struct* mm, uint64_t len_bytes) noexcept nogil:
    """arch_get_unmapped_area_topdown without an address asked for; 0: no room."""
    cdef vm_area_struct* vma
    cdef uint64_t addr
    if len_bytes <= mm.cached_hole_size:
        mm.cached_hole_size = 0
        mm.free_area_cache = mm.mmap_base
    addr = mm.free_area_cache
    if addr > len_bytes:
        vma = find_vma(mm, addr - len_bytes)
        if vma == NULL or addr <= vma.vm_start:
            mm.free_area_cache = addr - len_bytes
            return addr - len_bytes
    if mm.mmap_base <= len_bytes:
        return 0
    addr = mm.mmap_base - len_bytes
    while True:
        vma = find_vma(mm, addr)
        if vma == NULL or addr + len_bytes <= vma.vm_start:
            mm.free_area_cache = addr
            return addr
        if addr + mm.cached_hole_size < vma.vm_start:
            mm.cached_hole_size = vma.vm_start - addr
        if len_bytes >= vma.vm_start:
            return 0
        addr = vma.vm_start - len_bytes


cdef uint64_t unmapped_base(machine* m, mm_struct* mm) noexcept nogil:
    """TASK_UNMAPPED_BASE: a third of the address space; half of the smallest one where it can grow (s390: 2^41, for good)."""
    cdef int top = m.hw.fmt.levels - 1
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    if m.hw.fmt.levels < m.hw.fmt.max_levels:
        return <uint64_t>1 << (m.hw.fmt.level[top].shift + m.hw.fmt.level[top].index_bits - 1)
    return (mm.task_size / 3 + page_mask) & ~page_mask


cdef uint64_t unmapped_area_bottomup(machine* m, mm_struct* mm, uint64_t len_bytes) noexcept nogil:
    """From TASK_UNMAPPED_BASE upwards, when there is nothing left below mmap_base; 0: no room."""
    cdef uint64_t addr = unmapped_base(m, mm)
    cdef vm_area_struct* vma = find_vma(mm, addr)
    if len_bytes > mm.task_size:
        return 0
    while addr <= mm.task_size - len_bytes:
        if vma == NULL or addr + len_bytes <= vma.vm_start:
            return addr
        addr = vma.vm_end
        vma = vma.vm_next
    return 0


cdef int grow_address_space(machine* m, mm_struct* mm, uint64_t end) noexcept nogil:
    """More table levels where the arch can add them and end needs it (s390: crst_table_upgrade)."""
    cdef int err
    if end <= mm.task_size:
        return 0
    if m.hw.fmt.levels == m.hw.fmt.max_levels:
        return -ENOMEM
    err = m.hw.ops.grow_mm(&m.hw, &mm.hw, end)
    if err:
        return -ENOMEM
    mm.task_size = mm.hw.asce_limit
    return 0


cdef uint64_t unmapped_area(machine* m, mm_struct* mm, uint64_t len_bytes) noexcept nogil:
    """Down from mmap_base, or else up from TASK_UNMAPPED_BASE; 0: no room."""
    cdef uint64_t addr = unmapped_area_topdown(m, mm, len_bytes)
    if addr == 0:
        addr = unmapped_area_bottomup(m, mm, len_bytes)
        mm.free_area_cache = mm.mmap_base
        mm.cached_hole_size = ~<uint64_t>0
    return addr


cdef int64_t get_unmapped_area(machine* m, mm_struct* mm, uint64_t addr, uint64_t len_bytes, uint64_t flags) noexcept nogil:
    cdef vm_area_struct* vma
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t most = <uint64_t>1 << m.hw.fmt.user_bits
    if len_bytes > most:
        return -ENOMEM
    if flags & MAP_FIXED:
        if addr > most - len_bytes or grow_address_space(m, mm, addr + len_bytes):
            return -ENOMEM
        return -EINVAL if addr & page_mask else <int64_t>addr
    if addr:
        addr = (addr + page_mask) & ~page_mask
        vma = find_vma(mm, addr)
        if len_bytes <= mm.task_size and addr <= mm.task_size - len_bytes and (vma == NULL or addr + len_bytes <= vma.vm_start):
            return addr
    addr = unmapped_area(m, mm, len_bytes)
    if addr == 0 and mm.task_size < most and m.hw.fmt.levels < m.hw.fmt.max_levels:
        # s390_get_unmapped_area_topdown: one level of tables more, then again
        if grow_address_space(m, mm, most):
            return -ENOMEM
        addr = unmapped_area(m, mm, len_bytes)
    return -ENOMEM if addr == 0 else <int64_t>addr


# ---------------------------------------------------------------- mmap
cdef uint64_t vm_get_page_prot(machine* m, uint64_t vm_flags) noexcept nogil:
    return m.hw.fmt.prot[vm_flags & (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED)]


cdef bint vma_wants_writenotify(machine* m, vm_area_struct* vma) noexcept nogil:
    """Must the first store through this mapping fault, so that the file hears of the dirty page?"""
    if (vma.vm_flags & (VM_WRITE | VM_SHARED)) != VM_WRITE | VM_SHARED:
        return False
    if vma.vm_flags & (VM_PFNMAP | VM_INSERTPAGE):
        return False
    return vma.vm_file != NULL and vma.vm_file.page_mkwrite != 0


cdef uint64_t vm_flags_of(mm_struct* mm, address_space* file, uint64_t prot, uint64_t flags) noexcept nogil:
    cdef uint64_t vm_flags = prot & (VM_READ | VM_WRITE | VM_EXEC)
    vm_flags |= mm.def_flags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    if flags & MAP_GROWSDOWN:
        vm_flags |= VM_GROWSDOWN
    if flags & MAP_LOCKED:
        vm_flags |= VM_LOCKED
    if flags & MAP_SHARED:
        vm_flags |= VM_SHARED | VM_MAYSHARE
    if file != NULL:
        vm_flags |= VM_CAN_NONLINEAR
    return vm_flags


cdef int shmem_zero_setup(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t len_bytes) noexcept nogil:
    """A file of its own for shared anonymous memory, all of it committed at once unless MAP_NORESERVE: 0, -ENOMEM."""
    cdef uint64_t pages = 0 if vma.vm_flags & VM_NORESERVE else len_bytes >> m.page_shift
    if pages and vm_enough_memory(m, mm, pages):
        return -ENOMEM
    vma.vm_file = file_open(m, FILE_SHMEM, len_bytes)
    if vma.vm_file == NULL:
        m.committed_as -= pages
        return -ENOMEM
    vma.vm_file.acct_pages = pages
    vma.vm_flags |= VM_CAN_NONLINEAR
    return 0


cdef vm_area_struct* new_vma(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes, uint64_t vm_flags,
                             uint64_t pgoff) noexcept nogil:
    """A VMA that is in no list yet, with its file (shared anonymous memory gets one of its own); NULL: -ENOMEM."""
    cdef vm_area_struct* vma
    if vma_array_room(m, mm):
        return NULL
    vma = vma_alloc(m)
    if vma == NULL:
        return NULL
    vma.vm_mm = mm
    vma.vm_start = addr
    vma.vm_end = addr + len_bytes
    vma.vm_flags = vm_flags
    vma.vm_pgoff = pgoff
    if file != NULL:
        vma.vm_file = file
        file.refs += 1
    elif vm_flags & VM_SHARED and shmem_zero_setup(m, mm, vma, len_bytes):
        kmem_cache_free(m, KMEM_VMA, vma)
        return NULL
    vma.vm_page_prot = vm_get_page_prot(m, vm_flags & ~<uint64_t>VM_SHARED if vma_wants_writenotify(m, vma) else vm_flags)
    return vma


cdef int64_t mmap_region(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes,
                         uint64_t flags, uint64_t vm_flags, uint64_t pgoff) noexcept nogil:
    cdef vm_area_struct* prev
    cdef vm_area_struct* vma = find_vma_prev(mm, addr, &prev)
    cdef uint64_t pages = len_bytes >> m.page_shift
    cdef bint charged = False
    if vma != NULL and vma.vm_start < addr + len_bytes:
        if do_munmap(m, mm, addr, len_bytes):
            return -ENOMEM
        find_vma_prev(mm, addr, &prev)
    if flags & MAP_NORESERVE and m.sysctl.overcommit_memory != 2:
        vm_flags |= VM_NORESERVE
    if (vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE:
        if vm_enough_memory(m, mm, pages):
            return -ENOMEM
        charged = True
        vm_flags |= VM_ACCOUNT
    # shared anonymous memory is a file of its own: nothing to merge with
    vma = NULL
    if file != NULL or not vm_flags & VM_SHARED:
        vma = vma_merge(m, mm, prev, addr, addr + len_bytes, vm_flags, NULL, file, pgoff)
    if vma == NULL:
        vma = new_vma(m, mm, file, addr, len_bytes, vm_flags, pgoff)
        if vma == NULL:
            if charged:
                m.committed_as -= pages
            return -ENOMEM
        vma_link(m, mm, vma)
    mm.total_vm += pages
    vm_stat_account(mm, vm_flags, vma.vm_file, pages)
    if vm_flags & VM_LOCKED:
        if mlock_vma_pages_range(m, vma, addr, addr + len_bytes) == 0:
            mm.locked_vm += pages
    elif flags & MAP_POPULATE and not flags & MAP_NONBLOCK:
        make_pages_present(m, mm, addr, addr + len_bytes)
    return addr


cdef int64_t do_mmap_pgoff(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes, uint64_t prot, uint64_t flags,
                           uint64_t pgoff) noexcept nogil:
    cdef uint64_t page_mask = (<uint64_t>1 << m.page_shift) - 1
    cdef int64_t at
    if len_bytes == 0:
        return -EINVAL
    if not flags & MAP_FIXED:
        addr &= ~page_mask                  # round_hint_to_min
    len_bytes = (len_bytes + page_mask) & ~page_mask
    if len_bytes == 0:
        return -ENOMEM
    if pgoff + (len_bytes >> m.page_shift) < pgoff:
        return -EOVERFLOW
    if mm.map_count > m.sysctl.max_map_count:
        return -ENOMEM
    at = get_unmapped_area(m, mm, addr, len_bytes, flags)
    if at < 0:
        return at
    if (flags & MAP_TYPE) != MAP_SHARED and (flags & MAP_TYPE) != MAP_PRIVATE:
        return -EINVAL
    if file != NULL and flags & MAP_GROWSDOWN:
        return -EINVAL
    if file == NULL:
        pgoff = 0 if flags & MAP_SHARED else <uint64_t>at >> m.page_shift
    return mmap_region(m, mm, file, at, len_bytes, flags, vm_flags_of(mm, file, prot, flags), pgoff)


cdef int64_t sys_mmap_pgoff(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes,
                            uint64_t prot, uint64_t flags, uint64_t pgoff) noexcept nogil:
    cdef int64_t ret
    down_write(m, mm, False)
    ret = do_mmap_pgoff(m, mm, file, addr, len_bytes, prot, flags, pgoff)
    up_write(m, mm)
    return ret
