# SPDX-License-Identifier: GPL-2.0-only
# The operation-level ABI between mm/ and an arch: whole operations behind pointers, batched where it pays.
# Every pointer is filled by the one walker template (hw/template/), compiled per arch or interpreted.
# mm/ uses the pte_* inlines of hw/pte.pxd with hw.fmt for single entries, and these for everything that walks or loops.
from libc.stdint cimport uint64_t, uint32_t, uint16_t, uint8_t, int64_t
from rmapemu.hw.costs cimport costs_t
from rmapemu.hw.format cimport pt_format

cdef extern from *:
    """
    /* the empty asm: without it a function that only prefetches counts as pure, and its calls are removed */
    #define rm_prefetch(p) do { __builtin_prefetch((const void*)(p), 1); __asm__ volatile (""); } while (0)
    /* a value that the compiler knows nothing of: it makes no branch out of the arithmetic that follows */
    static inline int rm_hidden(int x) { __asm__ ("" : "+r" (x)); return x; }
    #define rm_likely(x) __builtin_expect(!!(x), 1)
    #define rm_unlikely(x) __builtin_expect(!!(x), 0)
    """
    void rm_prefetch(const void* p) noexcept nogil
    int rm_hidden(int x) noexcept nogil
    bint rm_likely(bint x) noexcept nogil
    bint rm_unlikely(bint x) noexcept nogil

cdef enum:  # access_kind
    ACCESS_READ = 0
    ACCESS_WRITE = 1
    ACCESS_EXEC = 2

cdef enum:
    PDE_SLOTS = 2048            # host-side cache of leaf tables, per address space: invisible in results and costs
    BATCH_MAX = 32              # pages that one referenced_batch takes (SWAP_CLUSTER_MAX)
    TLB_EXEC = 0x80000000       # in addr_space.tlb_pfn: this translation may be executed
    RUN_MAX = 2048              # most entries that one run operation hands back (the largest leaf table)

cdef enum:                      # how far check_address came
    SEEN_NO_TABLE = 0           # no leaf table there, or a huge leaf
    SEEN_NOT_PRESENT = 1
    SEEN_OTHER = 2              # present, but another frame
    SEEN_MATCH = 3

cdef struct tlb_entry:          # hit when tag[kind & 1] == va >> page_shift
    uint64_t tag[2]             # virtual page number served for loads, for stores; all ones: none

cdef struct leaf_cache:         # of a VMA, host side: the leaf table last used; valid while the VMA overlaps the span of `key`
    uint64_t key                # va >> level[1].shift; all ones: empty
    uint64_t* leaf              # first entry of that leaf table

cdef struct addr_space:         # the hardware's part of an mm_struct (its first member)
    uint64_t root               # physical address of the top table (CR3, ASCE origin); 0: none yet
    uint64_t nr_ptes            # leaf tables allocated (mm->nr_ptes)
    uint64_t asce_limit         # addresses at or above fault until the space grows (s390: 2^42, then 2^53)
    tlb_entry* tlb              # sets * ways entries, allocated on first access
    uint32_t* tlb_pfn           # beside it: pfn | TLB_EXEC
    leaf_cache* pde             # PDE_SLOTS, direct-mapped by key, allocated on first access
    uint32_t tlb_bytes          # host bytes of the three caches, for reports
    uint32_t pgtable_list       # pfn of the first half-used frame of leaf tables (s390: context.pgtable_list); 0: none
    uint8_t levels              # levels now
    uint8_t tlb_next            # round-robin victim way
    uint8_t pad[6]

# What mm/ is asked for. `pte` is the leaf entry if a table exists, else NULL. 0: try again; -errno: stop with it.
ctypedef int (*fault_t)(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil
# Told of runs of accessed pages when recency is exact (access_traced): pfn[0..n) in order of access.
ctypedef void (*touched_t)(void* ctx, const uint32_t* pfn, int64_t n) noexcept nogil

cdef struct hw_t:               # the hardware of one machine (first member of `machine`)
    const pt_format* fmt        # the format, also where the binding is compiled
    const hw_ops* ops
    uint8_t* base               # physical memory: byte offset is physical address. Only frames that hold tables have content
    uint8_t* skey               # storage key per frame, or NULL: R, C, ACC, F as in the manual
    bint key_exact              # keys record every access; else when a translation is loaded (tlb-latched)
    void* ctx                   # the machine, for the callbacks below
    uint64_t (*alloc_table)(void* ctx, int order) noexcept nogil    # physical address of 2^order frames, or 0 (-ENOMEM)
    void (*free_table)(void* ctx, uint64_t pa, int order) noexcept nogil
    void* (*alloc_host)(void* ctx, uint64_t size) noexcept nogil    # host memory of the machine's arenas, zeroed, or NULL
    void (*free_host)(void* ctx, void* p, uint64_t size) noexcept nogil
    costs_t cost

cdef struct hw_ops:
    # --- address spaces
    int (*init_mm)(hw_t* h, addr_space* s) noexcept nogil                       # allocates the top table: 0, -ENOMEM
    # frees the top table and the host caches; tables below are gone already
    void (*exit_mm)(hw_t* h, addr_space* s) noexcept nogil
    int (*grow_mm)(hw_t* h, addr_space* s, uint64_t end) noexcept nogil         # deep enough for addresses below end: 0, -ENOMEM, -EINVAL
    void (*free_pgd_range)(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t floor, uint64_t ceiling) noexcept nogil
    # --- the CPU
    # Accesses va[0..n) with kind[0..n) (kind NULL: all kind0); misses walk; what the walk cannot serve goes to `fault`.
    # Returns how many accesses completed; where it is less than n, *err is what fault returned for va[that].
    int64_t (*access)(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                      fault_t fault, void* ctx, int* err) noexcept nogil
    # The same, fetching ahead for traces that miss often; `slots` (swap map of area 0) is only prefetched.
    int64_t (*access_ahead)(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                            fault_t fault, void* ctx, int* err, const uint8_t* slots) noexcept nogil
    # The same, and `touched` is told of every access's frame, in order, before any fault that follows it.
    int64_t (*access_traced)(hw_t* h, addr_space* s, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
                             fault_t fault, void* ctx, int* err, touched_t touched) noexcept nogil
    # --- entries
    uint64_t* (*find_pte)(hw_t* h, addr_space* s, uint64_t va) noexcept nogil   # NULL: no leaf table (or a huge leaf)
    # the CPU's walk where no host cache knows the leaf table, and the load into the TLB: its place there, or -1; *pte: the leaf entry
    # or NULL
    int (*hw_load)(hw_t* h, addr_space* s, uint64_t va, int kind, uint64_t** pte) noexcept nogil
    # the walk behind find_pte and check_address where no host cache knows the leaf table; c: the VMA's cache to fill, or NULL
    uint64_t* (*walk_tables)(hw_t* h, addr_space* s, uint64_t va, leaf_cache* c) noexcept nogil
    uint64_t* (*find_pmd)(hw_t* h, addr_space* s, uint64_t va) noexcept nogil   # level-1 entry; NULL: no table of it
    uint64_t* (*make_pte)(hw_t* h, addr_space* s, uint64_t va) noexcept nogil   # pte_alloc_map: NULL is -ENOMEM
    uint64_t* (*make_pmd)(hw_t* h, addr_space* s, uint64_t va) noexcept nogil
    # fork, pud_alloc and pmd_alloc: the tables above the leaf's that s has on the way to va are made in d. 0, -ENOMEM
    int (*copy_upper)(hw_t* h, addr_space* d, addr_space* s, uint64_t va) noexcept nogil
    # __page_check_address without its lock: the entry that is present and maps pfn, else NULL. c may be NULL.
    # *seen says how far it came (SEEN_*): whether the kernel would have taken the page table lock depends on it.
    uint64_t* (*check_address)(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c, int* seen) noexcept nogil
    # check_address + ptep_clear_flush_young in one: the old young bit (0, 1), else -1 not present (no lock would be taken),
    # -2 present but another frame. c may be NULL. What is found counts as one of cost.plain_hits (0, 1).
    int (*referenced)(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c) noexcept nogil
    # its way where no host cache knows the leaf table
    int (*referenced_walk)(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, leaf_cache* c) noexcept nogil
    # `referenced` of n <= BATCH_MAX pages of one address space whose entries have been found (pte[i] NULL: no leaf table), young[i]
    # being 1 where one was; how many entries were present
    int (*referenced_batch)(hw_t* h, addr_space* s, uint64_t** pte, const uint64_t* vpn, const uint32_t* pfn, int n,
                            uint8_t* young) noexcept nogil
    # check_address, ptep_clear_flush_young and, where the entry was old, ptep_clear_flush and set_pte_at of the swap entry in one:
    # 0 replaced, *old being what it was; 1 it was young; -1, -2 as `referenced`
    int (*swap_out_old)(hw_t* h, addr_space* s, uint64_t va, uint32_t pfn, uint64_t entry, uint64_t* old) noexcept nogil
    void (*set_pte)(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte, uint64_t e) noexcept nogil          # set_pte_at; no flush
    uint64_t (*clear_flush)(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte) noexcept nogil              # ptep_clear_flush: old entry
    # old young bit; flush only if it was set
    int (*clear_flush_young)(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte) noexcept nogil
    # update_mmu_cache: nothing where the hardware loads its own TLB
    void (*update_mmu)(hw_t* h, addr_space* s, uint64_t va, uint64_t* pte, int kind) noexcept nogil
    # --- runs inside one leaf table: [va, end) must not cross it. Old entries that were not none come back in old[] with their
    #     position at[] (pages after va); the return value is how many.
    int (*scan_run)(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t* old, uint16_t* at) noexcept nogil
    # entries become none; no flush
    int (*clear_run)(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t* old, uint16_t* at) noexcept nogil
    # fork: entries of s are copied to `to`, the entry of va in the other space (make_pte, which may reclaim: before any lock); with
    # `cow` present ones are first write-protected in both; copies are old (and clean where `shared`)
    int (*copy_run)(hw_t* h, uint64_t* to, addr_space* s, uint64_t va, uint64_t end, bint cow, bint shared, uint64_t* old,
                     uint16_t* at) noexcept nogil
    # pte_modify on present ones: how many changed
    int (*protect_run)(hw_t* h, addr_space* s, uint64_t va, uint64_t end, uint64_t prot) noexcept nogil
    # --- flushes, counted by kind
    void (*flush_tlb_page)(hw_t* h, addr_space* s, uint64_t va) noexcept nogil
    void (*flush_tlb_range)(hw_t* h, addr_space* s, uint64_t va, uint64_t end) noexcept nogil
    void (*flush_tlb_mm)(hw_t* h, addr_space* s) noexcept nogil
    # --- frames (no-ops, returning 0, where the arch has no keys)
    int (*page_test_and_clear_young)(hw_t* h, uint32_t pfn) noexcept nogil
    int (*page_test_and_clear_dirty)(hw_t* h, uint32_t pfn, int mapped) noexcept nogil
    void (*page_set_uptodate)(hw_t* h, uint32_t pfn) noexcept nogil             # SetPageUptodate's key reset
    void (*kernel_access)(hw_t* h, uint32_t pfn, int kind) noexcept nogil       # the kernel read or wrote the frame's bytes
    # --- huge entries at level 1
    # any change of a level-1 entry by mm/: the caches of the leaf table below are dropped; no flush
    void (*set_pmd)(hw_t* h, addr_space* s, uint64_t va, uint64_t* pmd, uint64_t e) noexcept nogil
    uint64_t (*make_huge)(hw_t* h, uint64_t pte) noexcept nogil                 # a leaf entry's bits as a huge one (pmd_mkhuge)
    bint (*pmd_huge)(hw_t* h, uint64_t e) noexcept nogil

cdef class Backend:
    """An MMU ready to be plugged into a Machine: operations, format, name and capabilities. Immutable once made."""
    cdef hw_ops ops
    cdef pt_format format_
    cdef readonly str name
    cdef readonly object capabilities   # frozenset of str: "storage-keys", "nx", "huge-pmd", ...
