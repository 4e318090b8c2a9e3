# SPDX-License-Identifier: GPL-2.0-only
# struct pt_format: an MMU as data. This file is the porting manual's core: to support an arch, fill these members.
# A compiled arch gives one `static const struct pt_format FORMAT` (C designated initialiser, in arch/NAME/format.pxi)
# that the compiler folds away; an interpreted arch fills the same struct from a Format dataclass at run time.
from libc.stdint cimport uint64_t, uint32_t, uint8_t

cdef enum:
    PT_MAX_LEVELS = 5           # level 0 is the leaf (PTE)

# A predicate over an entry: true when (e & mask[0]) == value[0], or, where mask[1] is not 0, (e & mask[1]) == value[1].
# Polarity is in the value: x86 "present" is mask 1 value 1; an s390 segment entry is valid with mask 0x20 value 0.
cdef struct pt_match "pt_match":
    uint64_t mask[2]
    uint64_t value[2]

# A number kept in an entry, possibly split in two: bits [0, bits[0]) of the number at shift[0], the rest at shift[1].
# bits[1] == 0: not split.
cdef struct pt_field "pt_field":
    uint8_t shift[2]
    uint8_t bits[2]

cdef struct pt_level "pt_level":
    uint8_t shift               # lowest address bit of this level's index
    uint8_t index_bits          # bits of the index
    uint8_t table_order         # buddy order of the frame block that holds one table (0 where several share a frame)
    uint8_t tables_per_frame    # 1, or how many tables share one frame (s390 page tables: 2)
    uint32_t table_bytes        # size and alignment of a table of this level's entries
    uint64_t empty              # what a fresh entry of this level holds
    pt_match table              # the entry points at a table of the level below (hardware's view); level 0: unused
    uint64_t table_pa_mask      # where that table's physical address sits (level >= 1)
    uint64_t table_bits         # or-ed to the address when the entry is made (level >= 1)
    pt_match huge               # the entry is a leaf of this level (mask[0] == 0: never); level 0: unused
    uint64_t huge_pa_mask       # where a huge leaf's frame address sits
    uint64_t huge_bits          # or-ed to a leaf entry of level 0 to make it a huge one of this level

cdef struct pt_format "pt_format":
    uint8_t page_shift          # lg2 of the page size in bytes
    uint8_t levels              # levels of a new address space
    uint8_t max_levels          # it may grow to this (s390: region-second when a mapping passes 2^42)
    uint8_t canonical_bits      # addresses are sign-extended above this bit count (x86-64: 48); 0: zero-extended
    uint8_t user_bits           # user addresses are below 2^user_bits of a full-grown space (x86-64: 47)
    uint8_t tlb_sets_lg2        # TLB geometry: sets
    uint8_t tlb_ways            # and ways (1: direct-mapped)
    uint8_t has_nx              # entries can forbid execution
    uint8_t range_flush_is_mm   # flush_tlb_range drops the whole address space (as v3.2's of x86 and s390 do)
    pt_level level[5]
    # --- leaf entries (level 0)
    uint64_t none_mask          # pte_none: (e & none_mask) == none_value
    uint64_t none_value
    uint64_t clear_value        # what pte_clear writes
    pt_match present            # the kernel's pte_present (includes PROT_NONE entries)
    pt_match valid              # the hardware translates through it
    uint64_t pa_mask            # where the frame's physical address sits in a present entry
    pt_match user               # user mode may use it (mask[0] == 0: always)
    pt_match write              # pte_write: user mode may store
    uint64_t write_set          # pte_mkwrite: e = (e & ~write_clear) | write_set
    uint64_t write_clear
    uint64_t wrprotect_set      # pte_wrprotect: e = (e & ~wrprotect_clear) | wrprotect_set, only where
    uint64_t wrprotect_clear
    pt_match wrprotect_guard    # this matches (mask[0] == 0: always); s390 leaves invalid entries alone
    pt_match noexec             # execution is forbidden (mask[0] == 0: never)
    uint64_t young              # accessed bit(s) in the entry; 0: not there (key or nowhere)
    uint64_t dirty              # dirty bit(s) in the entry; 0: not there
    uint64_t special            # pte_special bit; 0: none
    uint64_t table_young        # accessed bit that a walk sets in entries of levels above the leaf; 0: none
    uint64_t prot[16]           # protection_map: entry bits of VM_READ=1 VM_WRITE=2 VM_EXEC=4 VM_SHARED=8
    uint64_t chg_mask           # _PAGE_CHG_MASK: bits that pte_modify keeps
    # --- storage keys (s390): bits of the frame's key byte; 0: this MMU has no keys
    uint8_t key_referenced      # R
    uint8_t key_changed         # C
    uint8_t key_default         # what SetPageUptodate stores (PAGE_DEFAULT_KEY)
    # --- entries that are not present
    pt_match file               # pte_file
    uint64_t file_bits          # or-ed to make one
    pt_field file_pgoff         # the page offset in it
    uint8_t file_max_bits       # PTE_FILE_MAX_BITS
    uint64_t swap_bits          # or-ed to make a swap entry (is_swap_pte: neither none, nor present, nor file)
    pt_field swap_type          # 5 bits
    pt_field swap_offset
