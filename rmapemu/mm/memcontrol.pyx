# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Charging pages to groups, and MEM_CGROUP_STAT_FILE_MAPPED.
# Kernel: mm/memcontrol.c (v3.2), mem_cgroup_charge_common, __mem_cgroup_uncharge_common, mem_cgroup_update_page_stat.
# Differs: pages are charged by hand only, and one that leaves its cache while charged is uncharged when it is freed; rcu_read_lock
# is not counted here.
from libc.errno cimport EBUSY
from libc.stdint cimport int64_t, uint32_t
from rmapemu.mm.compound cimport compound_order
from rmapemu.mm.types cimport *


cdef inline mem_cgroup* group_of(machine* m, uint32_t pfn) noexcept nogil:
    return &m.memcg[m.page_cgroup[pfn] >> PCG_GROUP_SHIFT]


cdef void charge_statistics(machine* m, uint32_t pfn, int64_t pages) noexcept nogil:
    """The group's numbers after a charge, or (pages below 0) an uncharge. The root has no counter to charge."""
    cdef mem_cgroup* g = group_of(m, pfn)
    if m.page_cgroup[pfn] & PCG_CACHE:
        g.cache += pages
    else:
        g.rss += pages
    if pages > 0:
        g.pgpgin += 1
    else:
        g.pgpgout += 1
    if g != &m.memcg[0]:
        g.usage += pages


cdef inline int64_t nr_pages(machine* m, uint32_t order) noexcept nogil:
    """What a page counts: a huge one, with THP, all its frames."""
    return <int64_t>1 << order if m.config.transparent_hugepage else 1


cdef int mem_cgroup_charge(machine* m, uint32_t pfn, uint32_t group, bint cache) noexcept nogil:
    if m.page_cgroup[pfn] & PCG_USED:
        return -EBUSY
    m.page_cgroup[pfn] = group << PCG_GROUP_SHIFT | PCG_USED | (PCG_CACHE if cache else 0)
    m.nr_charged += 1
    charge_statistics(m, pfn, nr_pages(m, compound_order(m, pfn)))
    return 0


cdef void uncharge_page(machine* m, uint32_t pfn, uint32_t order) noexcept nogil:
    if not m.page_cgroup[pfn] & PCG_USED:
        return
    charge_statistics(m, pfn, -nr_pages(m, order))
    # the group stays noted, as page_cgroup's pointer does
    m.page_cgroup[pfn] &= ~<uint32_t>PCG_USED
    m.nr_charged -= 1


cdef void uncharge_unmapped(machine* m, uint32_t pfn) noexcept nogil:
    """mem_cgroup_uncharge_page: of no use for a page that is mapped, in the page cache or in the swap cache."""
    cdef page* p = &m.pages[pfn]
    if p.mapcount > 0 or (p.mapping != 0 and not PageAnon(p)) or p.flags & PG_swapcache or not m.config.cgroup_mem:
        return
    uncharge_page(m, pfn, compound_order(m, pfn))


cdef void update_page_stat(machine* m, uint32_t pfn, int val) noexcept nogil:
    cdef uint32_t* pc = &m.page_cgroup[pfn]
    if not m.config.cgroup_mem:
        return
    if not pc[0] & PCG_USED:
        return
    if val > 0:
        pc[0] |= PCG_FILE_MAPPED
    elif m.pages[pfn].mapcount <= 0:
        pc[0] &= ~<uint32_t>PCG_FILE_MAPPED
    group_of(m, pfn).file_mapped += val
