# SPDX-License-Identifier: GPL-2.0-only
"""Names in the order of the C enums and structs that they stand for (mm/types.pxd); those of the counters are in mm/vmstat."""

from __future__ import annotations

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

NOTIFIER_OPS = ("clear_flush_young", "invalidate_page", "invalidate_range_start", "invalidate_range_end", "release")
"""notifier_op: what an mmu notifier can be told."""
