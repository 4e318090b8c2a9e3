# SPDX-License-Identifier: GPL-2.0-only
# What every operation counts while it runs: one flat struct of uint64 counters, always on.
# Kernel equivalent: none; these are the numbers that a comparer reads instead of a clock.
# Nothing is counted on a TLB hit: hits are accesses less tlb_misses.
from libc.stdint cimport uint64_t

cdef enum:  # lock_class            # the order of the comment that opens mm/rmap.c: a lower one is taken first
    LOCK_I_MUTEX = 0            # inode->i_mutex
    LOCK_MMAP_SEM               # mm->mmap_sem
    LOCK_PAGE                   # PG_locked
    LOCK_I_MMAP                 # mapping->i_mmap_mutex
    LOCK_ANON_VMA               # anon_vma->root->mutex
    LOCK_PTL                    # mm->page_table_lock or the split pte lock
    LOCK_LRU                    # zone->lru_lock
    LOCK_SWAP                   # swap_lock
    LOCK_MMLIST                 # mmlist_lock
    LOCK_PRIVATE                # mapping->private_lock
    LOCK_I_LOCK                 # inode->i_lock
    LOCK_BDI_LIST               # bdi.wb->list_lock
    LOCK_SB                     # sb_lock
    LOCK_TREE                   # mapping->tree_lock
    NR_LOCK_CLASSES

cdef struct costs_t:            # every field a uint64: mm/vmstat.pyx reads it as an array, in this order
    # --- the hardware
    uint64_t accesses           # addresses accessed through the MMU
    uint64_t tlb_misses         # accesses that no TLB entry served
    uint64_t table_levels       # entries read by hardware and software walks above and at the leaf
    uint64_t ptes_examined      # leaf entries read by the kernel, one per entry
    uint64_t ptes_matched       # of those, the ones that mapped the page looked for
    uint64_t ptes_written       # leaf entries written by the kernel
    uint64_t young_cleared      # accessed bits cleared
    uint64_t dirty_cleared      # dirty bits cleared
    uint64_t tlb_flush_page     # flush_tlb_page (s390: IPTE)
    uint64_t tlb_flush_range    # flush_tlb_range
    uint64_t tlb_flush_mm       # flush_tlb_mm
    uint64_t cache_flush_page   # flush_cache_page
    uint64_t iske, sske, rrbe   # storage-key instructions
    # --- the reverse map
    uint64_t rmap_walks         # page_referenced, try_to_unmap, page_mkclean, try_to_munlock, rmap_walk entered on a mapped page
    uint64_t vmas_visited       # one per iteration of a walk's loop, before vma_address
    uint64_t clusters_scanned   # try_to_unmap_cluster calls that reached the entries
    uint64_t notifier_calls     # mmu notifier callbacks made
    uint64_t rcu_read_lock      # read-side sections entered
    # --- locks and memory
    uint64_t locks[14]          # taken, by lock_class (NR_LOCK_CLASSES)
    uint64_t trylock_failed[14]    # by lock_class
    uint64_t objects_allocated  # kmem_cache_alloc calls that succeeded; here only of the heap, mm/kmem.pyx (slab_costs) adds the others
    uint64_t objects_freed
    uint64_t bytes_allocated
    uint64_t bytes_freed
    # --- not shown: what always goes up together on a plain walk is counted in one word, and taken apart when somebody looks
    uint64_t plain_walks        # rmap_walks, rcu_read_lock, locks[LOCK_ANON_VMA]
    uint64_t plain_hits         # entries found: vmas_visited, ptes_examined, ptes_matched, locks[LOCK_PTL]

cdef inline costs_t settled(const costs_t* counted) noexcept nogil:
    """The counters as they are shown."""
    cdef costs_t c = counted[0]
    c.rmap_walks += c.plain_walks
    c.rcu_read_lock += c.plain_walks
    c.locks[<int>LOCK_ANON_VMA] += c.plain_walks
    c.vmas_visited += c.plain_hits
    c.ptes_examined += c.plain_hits
    c.ptes_matched += c.plain_hits
    c.locks[<int>LOCK_PTL] += c.plain_hits
    c.plain_walks = 0
    c.plain_hits = 0
    return c
