# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The names of the counters, in the order of their enums, and a way to read them all at once.
# Kernel: mm/vmstat.c (vmstat_text). costs_t is ours.
# pgpgin and pgpgout are kept in KiB, the unit in which /proc/vmstat shows them; of the zones' events only normal's exist.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from rmapemu.hw.costs cimport NR_LOCK_CLASSES, costs_t, settled
from rmapemu.mm.kmem cimport slab_costs
from rmapemu.mm.types cimport *

ZONE_STAT_NAMES = (
    "nr_free_pages", "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable", "nr_mlock",
    "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback", "nr_slab_reclaimable", "nr_slab_unreclaimable",
    "nr_page_table_pages", "nr_kernel_stack", "nr_unstable", "nr_bounce", "nr_vmscan_write", "nr_vmscan_immediate_reclaim",
    "nr_writeback_temp", "nr_isolated_anon", "nr_isolated_file", "nr_shmem", "nr_dirtied", "nr_written",
    "nr_anon_transparent_hugepages",
)
VM_EVENT_NAMES = (
    "pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_normal", "pgfree", "pgactivate", "pgdeactivate", "pgfault", "pgmajfault",
    "pgrefill_normal", "pgsteal_normal", "pgscan_kswapd_normal", "pgscan_direct_normal", "pginodesteal", "slabs_scanned",
    "kswapd_steal", "kswapd_inodesteal", "kswapd_low_wmark_hit_quickly", "kswapd_high_wmark_hit_quickly",
    "kswapd_skip_congestion_wait", "pageoutrun", "allocstall", "pgrotated", "unevictable_pgs_culled", "unevictable_pgs_scanned",
    "unevictable_pgs_rescued", "unevictable_pgs_mlocked", "unevictable_pgs_munlocked", "unevictable_pgs_cleared",
    "unevictable_pgs_stranded", "unevictable_pgs_mlockfreed",
)
LOCK_NAMES = (
    "i_mutex", "mmap_sem", "page", "i_mmap_mutex", "anon_vma", "ptl", "lru_lock", "swap_lock", "mmlist_lock", "private_lock",
    "i_lock", "bdi_list_lock", "sb_lock", "tree_lock",
)
COST_NAMES = (
    "accesses", "tlb_misses", "table_levels", "ptes_examined", "ptes_matched", "ptes_written", "young_cleared", "dirty_cleared",
    "tlb_flush_page", "tlb_flush_range", "tlb_flush_mm", "cache_flush_page", "iske", "sske", "rrbe", "rmap_walks", "vmas_visited",
    "clusters_scanned", "notifier_calls", "rcu_read_lock",
    *(f"lock_{name}" for name in LOCK_NAMES), *(f"trylock_failed_{name}" for name in LOCK_NAMES),
    "objects_allocated", "objects_freed", "bytes_allocated", "bytes_freed",
)

if not (len(ZONE_STAT_NAMES) == NR_VM_ZONE_STAT_ITEMS and len(VM_EVENT_NAMES) == NR_VM_EVENT_ITEMS and len(LOCK_NAMES) == NR_LOCK_CLASSES
        and (len(COST_NAMES) + 2) * 8 == sizeof(costs_t)):
    raise ImportError("rmapemu.mm.vmstat: the names do not match the counters")


cdef void read_zone_stats(machine* m, uint64_t* out) noexcept nogil:
    """out[NR_VM_ZONE_STAT_ITEMS]: all zones together."""
    cdef int i
    for i in range(NR_VM_ZONE_STAT_ITEMS):
        out[i] = m.zones[0].vm_stat[i] + m.zones[1].vm_stat[i]


cdef void read_vm_events(machine* m, uint64_t* out) noexcept nogil:
    """out[NR_VM_EVENT_ITEMS]."""
    memcpy(out, m.vm_events, NR_VM_EVENT_ITEMS * sizeof(uint64_t))


cdef void read_costs(machine* m, uint64_t* out) noexcept nogil:
    """out[len(COST_NAMES)]."""
    cdef costs_t c = settled(&m.hw.cost)
    slab_costs(m, &c)
    memcpy(out, &c, sizeof(costs_t) - 2 * sizeof(uint64_t))
