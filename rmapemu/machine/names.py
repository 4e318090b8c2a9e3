# SPDX-License-Identifier: GPL-2.0-only
"""Names of the counters, in the order of the C structs that hold them (hw/costs.pxd, mm/types.pxd)."""

from __future__ import annotations

COSTS = (
    "accesses", "tlb_misses", "table_levels", "ptes_examined", "ptes_matched", "ptes_written", "young_cleared", "dirty_cleared",
    "tlb_flush_page", "tlb_flush_range", "tlb_flush_mm", "cache_flush_page", "iske", "sske", "rrbe",
    "rmap_walks", "vmas_visited", "clusters_scanned", "notifier_calls", "rcu_read_lock",
)  # fmt: skip
"""costs_t up to its arrays of locks."""

COSTS_MEMORY = ("objects_allocated", "objects_freed", "bytes_allocated", "bytes_freed")
"""costs_t behind its arrays of locks."""

LOCKS = (
    "i_mutex", "mmap_sem", "page_lock", "i_mmap_mutex", "anon_vma_lock", "page_table_lock", "lru_lock", "swap_lock", "mmlist_lock",
    "private_lock", "i_lock", "bdi_list_lock", "sb_lock", "tree_lock",
)  # fmt: skip
"""lock_class."""

ZONE_STATS = (
    "nr_free_pages", "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable", "nr_mlock",
    "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback", "nr_slab_reclaimable", "nr_slab_unreclaimable",
    "nr_page_table_pages", "nr_kernel_stack", "nr_unstable", "nr_bounce", "nr_vmscan_write", "nr_vmscan_immediate_reclaim",
    "nr_writeback_temp", "nr_isolated_anon", "nr_isolated_file", "nr_shmem", "nr_dirtied", "nr_written",
    "nr_anon_transparent_hugepages",
)  # fmt: skip
"""zone_stat_item, under the names of /proc/vmstat."""

VM_EVENTS = (
    "pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_normal", "pgfree", "pgactivate", "pgdeactivate", "pgfault", "pgmajfault",
    "pgrefill_normal", "pgsteal_normal", "pgscan_kswapd_normal", "pgscan_direct_normal", "pginodesteal", "slabs_scanned",
    "kswapd_steal", "kswapd_inodesteal", "kswapd_low_wmark_hit_quickly", "kswapd_high_wmark_hit_quickly",
    "kswapd_skip_congestion_wait", "pageoutrun", "allocstall", "pgrotated", "unevictable_pgs_culled", "unevictable_pgs_scanned",
    "unevictable_pgs_rescued", "unevictable_pgs_mlocked", "unevictable_pgs_munlocked", "unevictable_pgs_cleared",
    "unevictable_pgs_stranded", "unevictable_pgs_mlockfreed",
)  # fmt: skip
"""vm_event_item, under the names of /proc/vmstat."""

LRU = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
"""lru_list."""

KMEM = (
    "mm_struct", "vm_area_struct", "anon_vma_chain", "anon_vma", "address_space", "radix_node", "heap", "stable_node", "rmap_item",
    "swap_count", "page", "table",
)  # fmt: skip
"""kmem_kind: what fail_alloc names."""

SYSCTL = (
    "swappiness", "min_free_kbytes", "page_cluster", "overcommit_memory", "overcommit_ratio", "max_map_count", "drop_caches",
    "dirty_ratio", "dirty_background_ratio", "vfs_cache_pressure",
)  # fmt: skip
"""sysctl_t; /proc/sys/vm writes page_cluster as page-cluster."""

CONFIG = (
    "debug_vm", "migration", "hugetlb_page", "transparent_hugepage", "ksm", "split_ptlocks", "cgroup_mem", "mmu_notifier",
    "zero_page", "swap_readahead", "cluster_mlock_fix",
)  # fmt: skip
"""config_t."""

BUGS = ("none", "BUG_ON", "VM_BUG_ON", "deadlock", "oops", "lock order", "would block")
"""bug_kind."""
