# SPDX-License-Identifier: GPL-2.0-only
# do_swap_page of the entry that nearly all of them are: its slot is not in the swap cache, no neighbours are read with it, and nobody
# could see a lock. What the general way (swapin) would do and take back at once is counted and not done.
# Kernel: mm/memory.c, mm/swap_state.c as they run then.
from libc.stdint cimport uint32_t, uint64_t, uint8_t
from rmapemu.hw.costs cimport LOCK_PAGE, LOCK_PTL, LOCK_SWAP, LOCK_TREE
from rmapemu.hw.ops cimport ACCESS_WRITE, rm_prefetch, rm_unlikely
from rmapemu.hw.pte cimport mk_pte, pte_mkdirty, swp_offset, swp_type
from rmapemu.mm.memory cimport VM_FAULT_MAJOR, VM_FAULT_OOM, VM_FAULT_WRITE, maybe_mkwrite
from rmapemu.mm.page_alloc cimport alloc_pages
from rmapemu.mm.rmap cimport plain_walks
from rmapemu.mm.swap_lru cimport __lru_cache_add
from rmapemu.mm.swap_scan cimport vm_swap_full
from rmapemu.mm.swap_slot cimport slot_area, slot_free
from rmapemu.mm.swap_state cimport page_kbytes
from rmapemu.mm.types cimport *

cdef inline bint plain_slot(machine* m, const vm_area_struct* vma, int kind, uint64_t entry) noexcept nogil:
    """Is it such an entry? False: the general way."""
    cdef swap_info_struct* si = slot_area(m, entry)
    cdef uint8_t count
    if not plain_walks(m) or (m.fail.nth | m.has_tokens) != 0 or (m.config.swap_readahead and m.sysctl.page_cluster):
        return False
    if si == NULL or vma.vm_flags & (VM_LOCKED | VM_HUGETLB) or vma.anon_vma == NULL:
        return False
    count = si.swap_map[swp_offset(entry)]
    # in use, not cached, no count beyond the byte; a store that would have to copy is not plain
    return <uint8_t>(count - 1) < (1 if kind == ACCESS_WRITE else SWAP_MAP_MAX)

cdef inline void plain_read(machine* m, uint32_t pfn) noexcept nogil:
    """read_swap_cache_async and lock_page, but for the cache itself."""
    m.hw.cost.locks[LOCK_SWAP] += 1
    m.hw.cost.locks[LOCK_TREE] += 1
    m.hw.cost.locks[LOCK_PAGE] += 1
    m.pages[pfn].flags = PG_uptodate | PG_swapbacked
    __lru_cache_add(m, pfn, LRU_INACTIVE_ANON)
    m.vm_events[PSWPIN] += 1
    m.vm_events[PGMAJFAULT] += 1
    m.vm_events[PGPGIN] += page_kbytes(m)
    if m.hw.skey != NULL:
        m.hw.ops.page_set_uptodate(&m.hw, pfn)

cdef inline void plain_add_anon_rmap(machine* m, uint32_t pfn, vm_area_struct* vma, uint64_t va, bint exclusive) noexcept nogil:
    """do_page_add_anon_rmap of a page without mappings."""
    cdef page* p = &m.pages[pfn]
    p.mapcount = 1
    p.mapping = anon_vma_to_mapping(m, vma.anon_vma if exclusive else vma.anon_vma.root)
    p.index = linear_page_index(m, vma, va)
    inc_zone_page_state(m, pfn, NR_ANON_PAGES)

cdef inline bint plain_slot_put(machine* m, swap_info_struct* si, uint64_t entry, bint exclusive) noexcept nogil:
    """swap_free, after reuse_swap_page of an exclusive store, and try_to_free_swap: does the swap cache keep the page?"""
    cdef uint32_t offset = <uint32_t>swp_offset(entry)
    m.hw.cost.locks[LOCK_SWAP] += 1
    si.swap_map[offset] -= 1
    if exclusive:
        m.hw.cost.locks[LOCK_SWAP] += 2
        m.hw.cost.locks[LOCK_TREE] += 1
        slot_free(m, si, offset)
        return False
    if not vm_swap_full(m):
        return True
    m.hw.cost.locks[LOCK_SWAP] += 1
    if si.swap_map[offset]:
        return True
    m.hw.cost.locks[LOCK_SWAP] += 1
    m.hw.cost.locks[LOCK_TREE] += 1
    slot_free(m, si, offset)
    return False

cdef inline int plain_swap_page(machine* m, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte, uint64_t entry) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef swap_info_struct* si = &m.swap_info[swp_type(entry)]
    cdef uint64_t e
    cdef bint exclusive = kind == ACCESS_WRITE
    rm_prefetch(&si.cache[swp_offset(entry)])
    cdef uint32_t pfn = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    if rm_unlikely(pfn == 0):
        return VM_FAULT_OOM
    plain_read(m, pfn)
    m.hw.cost.locks[LOCK_PTL] += 1
    mm.rss_stat[MM_ANONPAGES] += 1
    mm.rss_stat[MM_SWAPENTS] -= 1
    e = mk_pte(m.hw.fmt, pfn, vma.vm_page_prot)
    if exclusive:
        e = maybe_mkwrite(m, vma, pte_mkdirty(m.hw.fmt, e))
    m.hw.ops.set_pte(&m.hw, &mm.hw, va, pte, e)
    plain_add_anon_rmap(m, pfn, vma, va, exclusive)
    if plain_slot_put(m, si, entry, exclusive):
        m.pages[pfn].flags |= PG_swapcache
        m.pages[pfn].count = 2
        m.pages[pfn].private = entry_to_private(entry)
        si.swap_map[swp_offset(entry)] |= SWAP_HAS_CACHE
        si.cache[swp_offset(entry)] = pfn
        m.nr_swapcache_pages += 1
        inc_zone_page_state(m, pfn, NR_FILE_PAGES)
    else:
        m.pages[pfn].flags |= PG_dirty
    m.hw.ops.update_mmu(&m.hw, &mm.hw, va, pte, kind)
    return VM_FAULT_MAJOR | VM_FAULT_WRITE if exclusive else VM_FAULT_MAJOR
