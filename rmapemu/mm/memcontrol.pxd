# SPDX-License-Identifier: GPL-2.0-only
# Memory cgroups: which group a page is charged to, and the statistics that the reverse map keeps. Kernel: mm/memcontrol.c.
# Nothing is charged by itself: m.lab.charge does it. Limits, soft limits and swap accounting are not here.
from libc.stdint cimport int64_t, uint32_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.types cimport *

# Charges a page to a group. -EBUSY: it is charged already.
cdef int mem_cgroup_charge(machine* m, uint32_t pfn, uint32_t group, bint cache) noexcept nogil
# Takes the charge of 2^order frames back, if there is one: a page is freed.
cdef void uncharge_page(machine* m, uint32_t pfn, uint32_t order) noexcept nogil
# What stands behind the inlines below where some page is charged.
cdef void uncharge_unmapped(machine* m, uint32_t pfn) noexcept nogil
cdef void update_page_stat(machine* m, uint32_t pfn, int val) noexcept nogil

cdef inline bint mm_match_cgroup(const mm_struct* mm, uint32_t memcg) noexcept nogil:
    """memcg: a group's number + 1; 0 (no group to look at) must have been asked for before."""
    return mm.memcg + 1 == memcg

cdef inline void mem_cgroup_uncharge_page(machine* m, uint32_t pfn) noexcept nogil:
    """The last mapping of an anonymous page is gone: it is uncharged, unless the swap cache keeps it."""
    if rm_unlikely(m.nr_charged != 0):
        uncharge_unmapped(m, pfn)

cdef inline void mem_cgroup_inc_page_stat(machine* m, uint32_t pfn) noexcept nogil:
    """MEMCG_NR_FILE_MAPPED."""
    if rm_unlikely(m.nr_charged != 0):
        update_page_stat(m, pfn, 1)

cdef inline void mem_cgroup_dec_page_stat(machine* m, uint32_t pfn) noexcept nogil:
    if rm_unlikely(m.nr_charged != 0):
        update_page_stat(m, pfn, -1)
