# SPDX-License-Identifier: GPL-2.0-only
# s390, 64 bit. z/Architecture Principles of Operation, chapter 3: dynamic address translation (region-table, segment-table and
# page-table entries), storage key; what the manual leaves to software (prot, swap, file, special) is as Linux v3.2 uses it.
#
#   page-table entry:      | page-frame real address 63:12 | 0 | I 400 | P 200 | 0 | software ff |
#   segment-table entry:   | page-table origin 63:11 | FC 400 | P 200 | I 20 | TT 0c = 00 | 00 |      table: 2 KiB, 256 entries
#   region-third entry:    | segment-table origin 63:12 | TF c0 | I 20 | TT 0c = 01 | TL 03 |         table: 16 KiB, 2048 entries
#   region-second entry:   | region-third origin 63:12  | TF c0 | I 20 | TT 0c = 10 | TL 03 |         table: 16 KiB, 2048 entries
#   not present, by Linux:  empty 400 ; PROT_NONE 401 ; swap 403 ; file 601 ; swap's type 6:2, offset's bit 0 at 7, the rest at 12
#   storage key of a frame: | ACC f0 | F 08 | R 04 | C 02 |    young and dirty are here and nowhere else; there is no no-exec bit
#
# Levels 0, 1, 2 are a new address space (page, segment, region-third); level 3 (region-second) comes when it passes 2^42.
cdef extern from *:
    """
    #define PG_RO       0x200ULL        /* P: protection */
    #define PG_INVALID  0x400ULL        /* I: page invalid */
    #define PG_SWT      0x001ULL        /* software: with I, the entry says something */
    #define PG_SWX      0x002ULL        /* software: with I and SWT, swap */
    #define PG_SWC      0x004ULL        /* software: KVM's changed */
    #define PG_SWR      0x008ULL        /* software: KVM's referenced */
    #define PG_SPECIAL  0x010ULL        /* software */
    #define PG_EMPTY    PG_INVALID
    #define PG_NONE     (PG_INVALID | PG_SWT)
    #define PG_SWAP     (PG_INVALID | PG_SWT | PG_SWX)
    #define PG_FILE     (PG_INVALID | PG_SWT | PG_RO)
    #define PG_ADDR     (~0xfffULL)
    #define TT_SEGMENT  0x00ULL         /* table type: of a segment-table entry */
    #define TT_REGION3  0x04ULL
    #define TT_REGION2  0x08ULL
    #define TE_INVALID  0x20ULL         /* I of the levels above the leaf */
    #define TE_LENGTH   0x03ULL         /* TL: the table below has its full 2048 entries */
    #define TE_LARGE    0x400ULL        /* FC: a 1 MiB leaf */
    #define KEY_R       0x04            /* referenced */
    #define KEY_C       0x02            /* changed */
    #define KEY_DEFAULT 0x00            /* ACC 0, R and C off */
    #define CRST_LEVEL(s) .shift = s, .index_bits = 11, .table_order = 2, .tables_per_frame = 1, .table_bytes = 16384
    static const struct pt_format FORMAT = {
        .page_shift = 12, .levels = 3, .max_levels = 4, .user_bits = 53,
        .tlb_sets_lg2 = 10, .tlb_ways = 1, .range_flush_is_mm = 1,
        .level = {
            [0] = { .shift = 12, .index_bits = 8, .tables_per_frame = 2, .table_bytes = 2048, .empty = PG_EMPTY },
            [1] = { CRST_LEVEL(20), .empty = TT_SEGMENT | TE_INVALID, .table = {{TE_INVALID | TE_LARGE}, {0}},
                    .table_pa_mask = ~0x7ffULL, .table_bits = TT_SEGMENT,
                    .huge = {{TE_INVALID | TE_LARGE}, {TE_LARGE}}, .huge_pa_mask = ~0xfffffULL, .huge_bits = TE_LARGE },
            [2] = { CRST_LEVEL(31), .empty = TT_REGION3 | TE_INVALID, .table = {{TE_INVALID}, {0}},
                    .table_pa_mask = PG_ADDR, .table_bits = TT_REGION3 | TE_LENGTH },
            [3] = { CRST_LEVEL(42), .empty = TT_REGION2 | TE_INVALID, .table = {{TE_INVALID}, {0}},
                    .table_pa_mask = PG_ADDR, .table_bits = TT_REGION2 | TE_LENGTH },
        },
        .none_mask = PG_INVALID | PG_SWT, .none_value = PG_INVALID, .clear_value = PG_EMPTY,
        .present = {{PG_INVALID | PG_RO | PG_SWT | PG_SWX, PG_INVALID | PG_SWT}, {PG_NONE, 0}},
        .valid = {{PG_INVALID}, {0}},
        .pa_mask = PG_ADDR,
        .write = {{PG_RO}, {0}},
        .write_clear = PG_RO,
        .wrprotect_set = PG_RO, .wrprotect_guard = {{PG_INVALID}, {0}},
        .special = PG_SPECIAL,
        /*         ---      r--    -w-    rw-    --x    r-x    -wx    rwx */
        .prot = { PG_NONE, PG_RO, PG_RO, PG_RO, PG_RO, PG_RO, PG_RO, PG_RO,      /* private */
                  PG_NONE, PG_RO, 0,     0,     PG_RO, PG_RO, 0,     0 },        /* shared */
        .chg_mask = PG_ADDR | PG_SPECIAL | PG_SWC | PG_SWR,
        .key_referenced = KEY_R, .key_changed = KEY_C, .key_default = KEY_DEFAULT,
        .file = {{PG_INVALID | PG_RO | PG_SWT}, {PG_FILE}},
        .file_bits = PG_FILE, .file_pgoff = {{1, 12}, {7, 52}}, .file_max_bits = 59,
        .swap_bits = PG_SWAP, .swap_type = {{2, 0}, {5, 0}}, .swap_offset = {{7, 12}, {1, 52}},
    };
    """
    const pt_format FORMAT      # declared here so that the text above follows struct pt_format in the generated C
