# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Nonlinear VMAs: a page's index does not lead to its address, so reclaim sweeps clusters of entries with a cursor per VMA.
# Kernel: mm/rmap.c (v3.2), try_to_unmap_cluster and the second half of try_to_unmap_file. By default a locked VMA mlocks pages
# that nobody locked, which is v3.2's BUG_ON in mlock_vma_page (CVE-2014-3122); config.cluster_mlock_fix takes the later mend.
from libc.stdint cimport int32_t, uint32_t, uint64_t
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.pte cimport pgoff_to_pte, pte_dirty
from rmapemu.mm.filemap cimport set_page_dirty
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport update_hiwater_rss, vm_normal_page
from rmapemu.mm.mlock cimport mlock_vma_page
from rmapemu.mm.mmu_notifier cimport ptep_clear_flush_notify, ptep_clear_flush_young_notify
from rmapemu.mm.page_alloc cimport put_page
from rmapemu.mm.rmap cimport SWAP_AGAIN, SWAP_FAIL, SWAP_MLOCK
from rmapemu.mm.rmap_add cimport page_remove_rmap
from rmapemu.mm.types cimport *


cdef inline uint64_t cluster_bytes(machine* m) noexcept nogil:
    """CLUSTER_SIZE: 32 pages, or a whole leaf table where that is smaller."""
    cdef uint64_t pages = <uint64_t>32 << m.page_shift
    cdef uint64_t pmd = <uint64_t>1 << m.hw.fmt.level[1].shift
    return pages if pages < pmd else pmd


cdef void cluster_mlock(machine* m, uint32_t pfn, uint32_t check_pfn) noexcept nogil:
    if pfn == check_pfn or not m.config.cluster_mlock_fix:
        mlock_vma_page(m, pfn)
    elif trylock_page(m, pfn):
        mlock_vma_page(m, pfn)
        unlock_page(m, pfn)


cdef void cluster_unmap(machine* m, vm_area_struct* vma, uint64_t va, uint64_t* pte, uint32_t pfn) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t index, pteval
    m.hw.cost.cache_flush_page += 1
    pteval = ptep_clear_flush_notify(m, mm, va, pte)
    index = m.pages[pfn].index
    # an entry off its linear place remembers which page of the file it was
    if index != linear_page_index(m, vma, va):
        m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, pgoff_to_pte(m.hw.fmt, index))
    if pte_dirty(m.hw.fmt, pteval):
        set_page_dirty(m, pfn)
    page_remove_rmap(m, pfn)
    put_page(m, pfn)
    mm.rss_stat[MM_FILEPAGES] -= 1


cdef bint cluster_locked(machine* m, vm_area_struct* vma) noexcept nogil:
    """VM_LOCKED as seen under mmap_sem, which is kept only where it is so."""
    if not down_read_trylock(m, vma.vm_mm):
        return False
    if vma.vm_flags & VM_LOCKED:
        return True
    up_read(m, vma.vm_mm)
    return False


cdef int cluster_entry(machine* m, vm_area_struct* vma, uint64_t va, uint64_t* pte, bint locked, uint32_t* mapcount,
                       uint32_t check_pfn) noexcept nogil:
    """A present entry of the cluster."""
    cdef uint32_t pfn = vm_normal_page(m, vma, va, pte[0])
    BUG_ON(m, pfn == 0 or PageAnon(&m.pages[pfn]), b"!page || PageAnon(page)", b"try_to_unmap_cluster")
    m.hw.cost.ptes_matched += pfn == check_pfn
    if locked:
        cluster_mlock(m, pfn, check_pfn)
        return SWAP_MLOCK if pfn == check_pfn else SWAP_AGAIN
    if not ptep_clear_flush_young_notify(m, vma.vm_mm, va, pte):
        cluster_unmap(m, vma, va, pte, pfn)
        mapcount[0] -= 1
    return SWAP_AGAIN


cdef struct present_test:       # pte_present, taken out of the format; both ways are the same one where it has one
    uint64_t mask[2]
    uint64_t value[2]


cdef inline void present_test_init(const pt_format* f, present_test* t) noexcept nogil:
    cdef int other = f.present.mask[1] != 0
    t.mask[0] = f.present.mask[0]
    t.value[0] = f.present.value[0]
    t.mask[1] = f.present.mask[other]
    t.value[1] = f.present.value[other]


cdef inline bint is_present(const present_test* t, uint64_t e) noexcept nogil:
    return ((e & t.mask[0]) == t.value[0]) | ((e & t.mask[1]) == t.value[1])


cdef inline uint64_t* first_present(const present_test* t, uint64_t* pte, uint64_t* last) noexcept nogil:
    """Most are not there: four at a time, without a branch between them."""
    while last - pte >= 4 and not (is_present(t, pte[0]) | is_present(t, pte[1]) | is_present(t, pte[2]) | is_present(t, pte[3])):
        pte += 4
    while pte < last and not is_present(t, pte[0]):
        pte += 1
    return pte


cdef int try_to_unmap_cluster(machine* m, uint64_t cursor, uint32_t* mapcount, vm_area_struct* vma, uint32_t check_pfn) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef uint64_t size = cluster_bytes(m)
    cdef uint64_t va = (vma.vm_start + cursor) & ~(size - 1)
    cdef uint64_t end = min(va + size, vma.vm_end)
    cdef uint64_t* pte
    cdef uint64_t* last
    cdef uint64_t* start
    cdef present_test t
    cdef bint locked
    cdef int ret = SWAP_AGAIN
    va = max(va, vma.vm_start)
    pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
    if pte == NULL:
        return ret
    locked = cluster_locked(m, vma)
    m.hw.cost.clusters_scanned += 1
    pte_lock(m, mm, va)
    update_hiwater_rss(mm)
    # a cursor behind the end of the VMA finds an empty cluster
    last = pte + ((max(end, va) - va) >> m.page_shift)
    present_test_init(m.hw.fmt, &t)
    while pte < last:
        # what is not there is counted at once
        start = pte
        pte = first_present(&t, pte, last)
        m.hw.cost.ptes_examined += pte - start
        va += <uint64_t>(pte - start) << m.page_shift
        if pte < last:
            m.hw.cost.ptes_examined += 1
            if cluster_entry(m, vma, va, pte, locked, mapcount, check_pfn) == SWAP_MLOCK:
                ret = SWAP_MLOCK
            pte += 1
            va += <uint64_t>1 << m.page_shift
    pte_unlock(m, mm)
    if locked:
        up_read(m, mm)
    return ret


# ---------------------------------------------------------------- the cursors of a file's nonlinear VMAs
cdef uint64_t max_cursor(address_space* mapping) noexcept nogil:
    cdef vm_area_struct* vma = mapping.i_mmap_nonlinear
    cdef uint64_t most = 0
    while vma != NULL:
        most = max(most, vma.vm_private_data)
        vma = vma.nl_next
    return most


cdef uint64_t max_size(machine* m, address_space* mapping) noexcept nogil:
    cdef vm_area_struct* vma = mapping.i_mmap_nonlinear
    cdef uint64_t most = 0
    while vma != NULL:
        m.hw.cost.vmas_visited += 1
        most = max(most, vma.vm_end - vma.vm_start)
        vma = vma.nl_next
    return most


cdef bint sweep_to(machine* m, vm_area_struct* vma, uint32_t pfn, uint64_t limit, uint32_t* mapcount, int* ret) noexcept nogil:
    """Moves one VMA's cursor up to limit; True: the effort is spent."""
    cdef uint64_t size = cluster_bytes(m)
    cdef uint64_t cursor = vma.vm_private_data
    while cursor < limit and cursor < vma.vm_end - vma.vm_start:
        if try_to_unmap_cluster(m, cursor, mapcount, vma, pfn) == SWAP_MLOCK:
            ret[0] = SWAP_MLOCK
        cursor += size
        vma.vm_private_data = cursor
        if <int32_t>mapcount[0] <= 0:
            return True
    vma.vm_private_data = limit
    return False


cdef int try_to_unmap_nonlinear(machine* m, address_space* mapping, uint32_t pfn, int ret) noexcept nogil:
    cdef uint64_t size = cluster_bytes(m)
    cdef uint64_t cursor = max_cursor(mapping)
    cdef uint64_t most = max_size(m, mapping)
    cdef uint32_t mapcount
    cdef vm_area_struct* vma
    if most == 0:
        return SWAP_FAIL
    # the mapcount of the page that brought us here says how hard to try
    mapcount = m.pages[pfn].mapcount
    if mapcount == 0:
        return ret
    most = (most + size - 1) & ~(size - 1)
    if cursor == 0:
        cursor = size
    while True:
        vma = mapping.i_mmap_nonlinear
        while vma != NULL:
            m.hw.cost.vmas_visited += 1
            if sweep_to(m, vma, pfn, cursor, &mapcount, &ret):
                return ret
            vma = vma.nl_next
        cursor += size
        if cursor > most:
            break
    # nothing left but what is locked or young: start over next time
    vma = mapping.i_mmap_nonlinear
    while vma != NULL:
        vma.vm_private_data = 0
        vma = vma.nl_next
    return ret
