# SPDX-License-Identifier: GPL-2.0-only
# The swap cache: pages that have a slot. Kernel: mm/swap_state.c and mm/page_io.c. The cache is an array by slot, not a radix tree.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.costs cimport LOCK_TREE
from rmapemu.hw.ops cimport rm_likely, rm_unlikely
from rmapemu.hw.pte cimport swp_offset, swp_type
from rmapemu.mm.atomic cimport atomic_inc
from rmapemu.mm.kmem cimport should_fail
from rmapemu.mm.leaf_lock cimport leaf_lock
from rmapemu.mm.lock cimport VM_BUG_ON
from rmapemu.mm.swap_slot cimport slot_area
from rmapemu.mm.types cimport *

cdef int add_to_swap(machine* m, uint32_t pfn) noexcept nogil                        # 1 in the cache and dirty; 0 no slot
cdef int add_to_swap_cache(machine* m, uint32_t pfn, uint64_t entry) noexcept nogil  # 0, -ENOMEM; the page is locked, count + 1
cdef void delete_from_swap_cache(machine* m, uint32_t pfn) noexcept nogil            # and swapcache_free, count - 1
cdef uint32_t lookup_swap_cache(machine* m, uint64_t entry) noexcept nogil           # pfn with a reference, or 0
# read_swap_cache_async of a slot that the cache has not
cdef uint32_t read_swap_page(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil
# the slots in use around this one: 1 << page_cluster of them, as far as memory goes
cdef void read_cluster(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil
cdef void free_page_and_swap_cache(machine* m, uint32_t pfn) noexcept nogil
cdef void free_swap_cache(machine* m, uint32_t pfn) noexcept nogil
# 0; completes at once. pswpout; the token goes to the slot
cdef int swap_writepage(machine* m, uint32_t pfn) noexcept nogil

cdef inline uint32_t lookup_swap_page(machine* m, uint64_t entry) noexcept nogil:
    """The page of the slot in the swap cache, or 0. No reference is taken."""
    cdef const swap_info_struct* si = slot_area(m, entry)
    return si.cache[swp_offset(entry)] if si != NULL and si.swap_map[swp_offset(entry)] & SWAP_HAS_CACHE else 0

cdef inline uint32_t find_get_swap_page(machine* m, uint64_t entry) noexcept nogil:
    """lookup_swap_cache, inlined."""
    cdef uint32_t pfn = lookup_swap_page(m, entry)
    if pfn:
        atomic_inc(&m.pages[pfn].count)
    return pfn

cdef inline int __add_to_swap_cache(machine* m, uint32_t pfn, uint64_t entry, uint32_t gfp) noexcept nogil:
    """0, -ENOMEM: the kernel's radix tree may need a node here."""
    cdef page* p = &m.pages[pfn]
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"__add_to_swap_cache")
    VM_BUG_ON(m, p.flags & PG_swapcache, b"PageSwapCache(page)", b"__add_to_swap_cache")
    VM_BUG_ON(m, not p.flags & PG_swapbacked, b"!PageSwapBacked(page)", b"__add_to_swap_cache")
    if rm_unlikely(m.fail.nth != 0) and should_fail(m, KMEM_RADIX_NODE, gfp):
        return -ENOMEM
    atomic_inc(&p.count)
    p.flags |= PG_swapcache
    m.pages[pfn].private = entry_to_private(entry)
    leaf_lock(m, LOCK_TREE)
    m.swap_info[swp_type(entry)].cache[swp_offset(entry)] = pfn
    m.nr_swapcache_pages += 1
    inc_zone_page_state(m, pfn, NR_FILE_PAGES)
    return 0

cdef inline void __delete_from_swap_cache(machine* m, uint32_t pfn) noexcept nogil:
    """The slot keeps SWAP_HAS_CACHE."""
    cdef page* p = &m.pages[pfn]
    cdef uint64_t entry = private_to_entry(m.pages[pfn].private)
    cdef swap_info_struct* si = slot_area(m, entry)
    VM_BUG_ON(m, not p.flags & PG_locked, b"!PageLocked(page)", b"__delete_from_swap_cache")
    VM_BUG_ON(m, not p.flags & PG_swapcache, b"!PageSwapCache(page)", b"__delete_from_swap_cache")
    VM_BUG_ON(m, p.flags & PG_writeback, b"PageWriteback(page)", b"__delete_from_swap_cache")
    # a private made by hand may name no slot: the kernel's radix tree would not have it
    if rm_likely(si != NULL):
        si.cache[swp_offset(entry)] = 0
    m.pages[pfn].private = 0
    p.flags &= ~<uint32_t>PG_swapcache
    m.nr_swapcache_pages -= 1
    dec_zone_page_state(m, pfn, NR_FILE_PAGES)

cdef inline uint32_t read_swap_cache_async(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    """pfn with a reference (unlocked, uptodate), or 0: -ENOMEM or gone."""
    cdef uint32_t pfn = find_get_swap_page(m, entry)
    return pfn if pfn else read_swap_page(m, entry, gfp)

cdef inline uint32_t swapin_readahead(machine* m, uint64_t entry, uint32_t gfp) noexcept nogil:
    if m.config.swap_readahead and m.sysctl.page_cluster:
        read_cluster(m, entry, gfp)
    return read_swap_cache_async(m, entry, gfp)

cdef inline uint64_t page_kbytes(const machine* m) noexcept nogil:
    """A page in the unit of pgpgin and pgpgout."""
    return <uint64_t>1 << (m.page_shift - 10)
