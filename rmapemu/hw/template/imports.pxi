# SPDX-License-Identifier: GPL-2.0-only
# What every unit that includes the template needs.
from libc.stdint cimport uint64_t, uint32_t, uint16_t, uint8_t, int64_t
from libc.string cimport memset
from rmapemu.hw.format cimport pt_format, pt_level, pt_match
from rmapemu.hw.pte cimport (pt_matches, pt_get, pte_present, pte_none, pte_pfn, pte_write, pte_wrprotect, pte_mkclean,
    pte_mkold, pte_modify, swp_entry_to_pte)
from rmapemu.hw.ops cimport (hw_t, addr_space, tlb_entry, leaf_cache, hw_ops, fault_t, touched_t, Backend, rm_prefetch,
    rm_hidden, rm_likely, rm_unlikely, ACCESS_WRITE, ACCESS_EXEC, PDE_SLOTS, BATCH_MAX, TLB_EXEC,
    SEEN_NO_TABLE, SEEN_NOT_PRESENT, SEEN_OTHER, SEEN_MATCH)
