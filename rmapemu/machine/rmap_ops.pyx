# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The reverse map's functions as operations, so that one `trapped` can run them all. Kernel: mm/rmap.c.
# Locks that a function leaves to its caller are dropped here.
from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.vma cimport vma_handle
from rmapemu.mm.ksm cimport page_referenced_ksm, rmap_walk_ksm, try_to_unmap_ksm
from rmapemu.mm.lock cimport page_table_lock, pte_unlock
from rmapemu.mm.rmap cimport *
from rmapemu.mm.rmap_add cimport *
from rmapemu.mm.rmap_mkclean cimport page_mkclean, page_mkclean_file, page_mkclean_one
from rmapemu.mm.rmap_nonlinear cimport try_to_unmap_cluster
from rmapemu.mm.rmap_referenced cimport *
from rmapemu.mm.rmap_unmap cimport *
from rmapemu.mm.rmap_walk cimport rmap_walk, rmap_walk_anon, rmap_walk_file
from rmapemu.mm.types cimport *


# ---------------------------------------------------------------- where is it
cdef int64_t found(const uint64_t* a, uint64_t va) noexcept nogil:
    (<uint64_t*>a)[3] = va != <uint64_t><int64_t>VMA_EFAULT
    (<uint64_t*>a)[4] = va
    return 0


cdef int64_t op_vma_address(machine* m, const uint64_t* a) noexcept nogil:
    return found(a, vma_address(m, <uint32_t>a[0], <vm_area_struct*>a[1]))


cdef int64_t op_page_address_in_vma(machine* m, const uint64_t* a) noexcept nogil:
    return found(a, page_address_in_vma(m, <uint32_t>a[0], <vm_area_struct*>a[1]))


cdef int64_t op_check_address(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* mm = <mm_struct*>a[1]
    cdef uint64_t* pte = page_check_address(m, <uint32_t>a[0], mm, a[2], NULL, a[3] != 0)
    if pte == NULL:
        return 0
    (<uint64_t*>a)[4] = pte[0]
    pte_unlock(m, mm)
    return 1


cdef int64_t op_check_address_pmd(machine* m, const uint64_t* a) noexcept nogil:
    """Under the page table lock, as its callers have it. a[3]: the flag; a[4]: the entry."""
    cdef mm_struct* mm = <mm_struct*>a[1]
    cdef uint64_t* pmd
    page_table_lock(m, mm)
    pmd = page_check_address_pmd(m, <uint32_t>a[0], mm, a[2], <int>a[3])
    (<uint64_t*>a)[4] = pmd[0] if pmd != NULL else 0
    pte_unlock(m, mm)
    return pmd != NULL


cdef int64_t op_page_mapped_in_vma(machine* m, const uint64_t* a) noexcept nogil:
    return page_mapped_in_vma(m, <uint32_t>a[0], <vm_area_struct*>a[1])


cdef int64_t op_temporary_stack(machine* m, const uint64_t* a) noexcept nogil:
    return is_vma_temporary_stack(<vm_area_struct*>a[1])


# ---------------------------------------------------------------- was it used
cdef int64_t op_referenced(machine* m, const uint64_t* a) noexcept nogil:
    """a[2]: is_locked, and the group above it."""
    return page_referenced(m, <uint32_t>a[0], <int>(a[2] & 1), <uint32_t>(a[2] >> 1), <uint64_t*>a + 3)


cdef int64_t op_referenced_anon(machine* m, const uint64_t* a) noexcept nogil:
    """a[2]: the group; flags are added to a[3]."""
    return page_referenced_anon(m, <uint32_t>a[0], <uint32_t>a[2], <uint64_t*>a + 3)


cdef int64_t op_referenced_file(machine* m, const uint64_t* a) noexcept nogil:
    return page_referenced_file(m, <uint32_t>a[0], <uint32_t>a[2], <uint64_t*>a + 3)


cdef int64_t op_referenced_ksm(machine* m, const uint64_t* a) noexcept nogil:
    return page_referenced_ksm(m, <uint32_t>a[0], <uint32_t>a[2], <uint64_t*>a + 3)


cdef int64_t op_referenced_one(machine* m, const uint64_t* a) noexcept nogil:
    cdef uint32_t mapcount = <uint32_t>a[3]
    cdef int64_t r = page_referenced_one(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], &mapcount, <uint64_t*>a + 4)
    (<uint64_t*>a)[3] = mapcount
    return r


cdef int64_t op_mkclean(machine* m, const uint64_t* a) noexcept nogil:
    return page_mkclean(m, <uint32_t>a[0])


cdef int64_t op_mkclean_one(machine* m, const uint64_t* a) noexcept nogil:
    return page_mkclean_one(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])


cdef int64_t op_mkclean_file(machine* m, const uint64_t* a) noexcept nogil:
    return page_mkclean_file(m, <address_space*>a[2], <uint32_t>a[0])


# ---------------------------------------------------------------- adding and removing
cdef int64_t op_set_anon(machine* m, const uint64_t* a) noexcept nogil:
    __page_set_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 0)
    return 0


cdef int64_t op_set_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil:
    __page_set_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 1)
    return 0


cdef int64_t op_huge_set_anon(machine* m, const uint64_t* a) noexcept nogil:
    __hugepage_set_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 0)
    return 0


cdef int64_t op_huge_set_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil:
    __hugepage_set_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 1)
    return 0


cdef int64_t op_check_anon(machine* m, const uint64_t* a) noexcept nogil:
    __page_check_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_add_anon(machine* m, const uint64_t* a) noexcept nogil:
    page_add_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_add_new_anon(machine* m, const uint64_t* a) noexcept nogil:
    page_add_new_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_do_add_anon(machine* m, const uint64_t* a) noexcept nogil:
    do_page_add_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 0)
    return 0


cdef int64_t op_do_add_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil:
    do_page_add_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], 1)
    return 0


cdef int64_t op_move_anon(machine* m, const uint64_t* a) noexcept nogil:
    page_move_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_huge_add_anon(machine* m, const uint64_t* a) noexcept nogil:
    hugepage_add_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_huge_add_new(machine* m, const uint64_t* a) noexcept nogil:
    hugepage_add_new_anon_rmap(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2])
    return 0


cdef int64_t op_add_file(machine* m, const uint64_t* a) noexcept nogil:
    page_add_file_rmap(m, <uint32_t>a[0])
    return 0


cdef int64_t op_dup(machine* m, const uint64_t* a) noexcept nogil:
    page_dup_rmap(m, <uint32_t>a[0])
    return 0


cdef int64_t op_remove_rmap(machine* m, const uint64_t* a) noexcept nogil:
    page_remove_rmap(m, <uint32_t>a[0])
    return 0


# ---------------------------------------------------------------- taking mappings away
cdef int64_t op_unmap(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_unmap(m, <uint32_t>a[0], <int>a[2])


cdef int64_t op_unmap_anon(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_unmap_anon(m, <uint32_t>a[0], <int>a[2])


cdef int64_t op_unmap_file(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_unmap_file(m, <uint32_t>a[0], <int>a[2])


cdef int64_t op_unmap_ksm(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_unmap_ksm(m, <uint32_t>a[0], <int>a[2])


cdef int64_t op_unmap_one(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_unmap_one(m, <uint32_t>a[0], <vm_area_struct*>a[1], a[2], <int>a[3])


cdef int64_t op_unmap_cluster(machine* m, const uint64_t* a) noexcept nogil:
    cdef uint32_t mapcount = <uint32_t>a[3]
    cdef int64_t r = try_to_unmap_cluster(m, a[2], &mapcount, <vm_area_struct*>a[1], <uint32_t>a[0])
    (<uint64_t*>a)[3] = mapcount
    return r


cdef int64_t op_munlock(machine* m, const uint64_t* a) noexcept nogil:
    return try_to_munlock(m, <uint32_t>a[0])


# ---------------------------------------------------------------- walking
cdef int call_walker(object walker, vm_area_struct* vma, uint64_t va) noexcept:
    """What the function says; an exception is kept for the caller and ends the walk."""
    cdef Machine machine = walker[0]
    before = machine.in_callback
    machine.in_callback = True
    try:
        answer = walker[2](walker[1], vma_handle(machine, vma), va, *walker[3])
        return SWAP_AGAIN if answer is None else int(answer) & 0xff
    except BaseException as error:
        machine.block_error = error
        return SWAP_FAIL
    finally:
        machine.in_callback = before


cdef int walk_one(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, void* arg) noexcept nogil:
    cdef uint8_t trap[512]
    cdef int r
    memcpy(trap, m.trap, sizeof(trap))
    with gil:
        r = call_walker(<object>arg, vma, va)
    memcpy(m.trap, trap, sizeof(trap))
    m.trap_set = 1
    return r


cdef int64_t op_walk(machine* m, const uint64_t* a) noexcept nogil:
    return rmap_walk(m, <uint32_t>a[0], walk_one, <void*>a[2])


cdef int64_t op_walk_anon(machine* m, const uint64_t* a) noexcept nogil:
    return rmap_walk_anon(m, <uint32_t>a[0], walk_one, <void*>a[2])


cdef int64_t op_walk_file(machine* m, const uint64_t* a) noexcept nogil:
    return rmap_walk_file(m, <uint32_t>a[0], walk_one, <void*>a[2])


cdef int64_t op_walk_ksm(machine* m, const uint64_t* a) noexcept nogil:
    return rmap_walk_ksm(m, <uint32_t>a[0], walk_one, <void*>a[2])
