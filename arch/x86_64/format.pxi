# SPDX-License-Identifier: GPL-2.0-only
# x86-64, 4-level paging. Intel SDM vol. 3A, sections 4.5 (4-level paging), 4.6 (access rights), 4.8 (accessed and dirty flags);
# what the manual leaves to software (prot, swap, file, special) is as Linux v3.2 uses it.
#
#   63 62   52 51                        12 11   9  8  7  6  5   4   3   2   1   0
#  +--+-------+----------------------------+------+--+--+--+--+---+---+---+---+---+
#  |XD| avail | physical address of 4 KiB  |avail |G |PS|D |A |PCD|PWT|U/S|R/W| P |   PS at a PD entry: a 2 MiB leaf
#  +--+-------+----------------------------+------+--+--+--+--+---+---+---+---+---+
#  not present, by Linux:  swap  | offset 63:9 | 0 | type 5:1 |  P=0 ;  file  | page offset 63:12 |..| bit 6 |  P=0
#                          PROT_NONE: P=0 and bit 8 (PROTNONE, the manual's G)
#
# SDM's PML4, PDPT, PD, PT are levels 3, 2, 1, 0: Linux's pgd, pud, pmd, pte.
cdef extern from *:
    """
    #define PG_P        (1ULL << 0)     /* present */
    #define PG_RW       (1ULL << 1)     /* writable */
    #define PG_US       (1ULL << 2)     /* user */
    #define PG_PWT      (1ULL << 3)     /* write-through */
    #define PG_PCD      (1ULL << 4)     /* cache disabled */
    #define PG_A        (1ULL << 5)     /* accessed */
    #define PG_D        (1ULL << 6)     /* dirty */
    #define PG_PS       (1ULL << 7)     /* page size: a leaf above level 0 */
    #define PG_XD       (1ULL << 63)    /* execute disable */
    #define PG_PROTNONE (1ULL << 8)     /* software, where P is 0 */
    #define PG_FILE     (1ULL << 6)     /* software, where P is 0 */
    #define PG_SPECIAL  (1ULL << 9)     /* software, the manual's first available bit */
    #define PG_ADDR     0x000ffffffffff000ULL
    #define PG_ADDR_2M  0x000fffffffe00000ULL
    #define PG_TABLE    (PG_P | PG_RW | PG_US | PG_A | PG_D)
    #define PROT_NO     (PG_PROTNONE | PG_A)
    #define PROT_RX     (PG_P | PG_US | PG_A)
    #define PROT_R      (PROT_RX | PG_XD)
    #define PROT_RWX    (PROT_RX | PG_RW)
    #define PROT_RW     (PROT_RWX | PG_XD)
    #define TABLE_LEVEL(s) .shift = s, .index_bits = 9, .tables_per_frame = 1, .table_bytes = 4096
    #define POINTS .table_pa_mask = PG_ADDR, .table_bits = PG_TABLE
    static const struct pt_format FORMAT = {
        .page_shift = 12, .levels = 4, .max_levels = 4, .canonical_bits = 48, .user_bits = 47,
        .tlb_sets_lg2 = 10, .tlb_ways = 1, .has_nx = 1, .range_flush_is_mm = 1,
        .level = {
            [0] = { TABLE_LEVEL(12) },
            [1] = { TABLE_LEVEL(21), POINTS, .table = {{PG_P | PG_PS}, {PG_P}},
                    .huge = {{PG_P | PG_PS}, {PG_P | PG_PS}}, .huge_pa_mask = PG_ADDR_2M, .huge_bits = PG_PS },
            [2] = { TABLE_LEVEL(30), POINTS, .table = {{PG_P | PG_PS}, {PG_P}} },
            [3] = { TABLE_LEVEL(39), POINTS, .table = {{PG_P}, {PG_P}} },
        },
        .none_mask = ~0ULL, .none_value = 0, .clear_value = 0,
        .present = {{PG_P, PG_PROTNONE}, {PG_P, PG_PROTNONE}},
        .valid = {{PG_P}, {PG_P}},
        .pa_mask = PG_ADDR,
        .user = {{PG_US}, {PG_US}},
        .write = {{PG_RW}, {PG_RW}},
        .write_set = PG_RW, .wrprotect_clear = PG_RW,
        .noexec = {{PG_XD}, {PG_XD}},
        .young = PG_A, .dirty = PG_D, .special = PG_SPECIAL, .table_young = PG_A,
        /*         ---      r--      -w-      rw-     --x      r-x      -wx      rwx */
        .prot = { PROT_NO, PROT_R,  PROT_R,  PROT_R,  PROT_RX, PROT_RX, PROT_RX,  PROT_RX,        /* private */
                  PROT_NO, PROT_R,  PROT_RW, PROT_RW, PROT_RX, PROT_RX, PROT_RWX, PROT_RWX },     /* shared */
        .chg_mask = PG_ADDR | PG_PCD | PG_PWT | PG_SPECIAL | PG_A | PG_D,
        .file = {{PG_P | PG_PROTNONE | PG_FILE}, {PG_FILE}},
        .file_bits = PG_FILE, .file_pgoff = {{12, 0}, {52, 0}}, .file_max_bits = 32,
        .swap_type = {{1, 0}, {5, 0}}, .swap_offset = {{9, 0}, {55, 0}},
    };
    """
    const pt_format FORMAT      # declared here so that the text above follows struct pt_format in the generated C
