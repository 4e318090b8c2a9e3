# SPDX-License-Identifier: GPL-2.0-only
# The kernel's structs: struct page, zone, mm_struct, vm_area_struct, anon_vma, anon_vma_chain, address_space, swap_info_struct,
# and `machine`, which owns them all. Field names are v3.2's; what differs is said beside the field.
# Pointers only ever point into the machine's one reservation, so that a clone is a copy and a relocation.
from libc.stdint cimport uint64_t, int64_t, uint32_t, int32_t, uint16_t, uint8_t, int8_t
from rmapemu.hw.costs cimport NR_LOCK_CLASSES
from rmapemu.hw.ops cimport hw_t, addr_space, leaf_cache, rm_unlikely

# ---------------------------------------------------------------- struct page
cdef enum:  # pageflags             # bit numbers as in v3.2's enum pageflags (64-bit)
    PG_locked = 1 << 0
    PG_error = 1 << 1
    PG_referenced = 1 << 2
    PG_uptodate = 1 << 3
    PG_dirty = 1 << 4
    PG_lru = 1 << 5
    PG_active = 1 << 6
    PG_slab = 1 << 7
    PG_reserved = 1 << 10
    PG_private = 1 << 11        # has buffers
    PG_writeback = 1 << 13
    PG_head = 1 << 14           # first page of a compound page
    PG_tail = 1 << 15           # other pages of it: private is the head's pfn
    PG_swapcache = 1 << 16
    PG_mappedtodisk = 1 << 17
    PG_reclaim = 1 << 18
    PG_swapbacked = 1 << 19
    PG_unevictable = 1 << 20
    PG_mlocked = 1 << 21
    PG_hwpoison = 1 << 23
    PG_compound_lock = 1 << 24
    # kept in other ways by the kernel, here as bits
    PG_buddy = 1 << 25          # head of a free block; private is its order (_mapcount == -128 there)
    PG_table = 1 << 26          # the frame holds page tables
    PG_huge = 1 << 27           # head of a hugetlb page (PageHuge tests the destructor)
    PG_locked_other = 1 << 28   # PG_locked is held by "someone else" (m.lab.hold)

cdef enum:                      # low bits of page.mapping; the number above them is shifted by PAGE_MAPPING_SHIFT
    PAGE_MAPPING_ANON = 1       # anon_vma index << 2 | 1
    PAGE_MAPPING_KSM = 2        # stable node index << 2 | 3
    PAGE_MAPPING_FLAGS = 3      # file: address_space index << 2
    PAGE_MAPPING_SHIFT = 2

cdef struct page:               # 32 bytes, two to a cache line; all zero: free and never used
    uint32_t flags              # pageflags
    int32_t mapcount            # entries that map it (kernel: _mapcount + 1)
    int32_t count               # references (_count)
    uint32_t mapping            # see PAGE_MAPPING_*; 0: none
    uint64_t index              # offset in its mapping in pages
    uint32_t private            # page_private: swap type << 27 | offset, order of a free block, head of a tail, lock of a frame of tables
    uint32_t compound_order     # of the first tail: lg2 of the frames

cdef struct list_head:          # page->lru, apart from struct page: a list is followed through an eighth of the cache lines
    uint32_t next, prev         # neighbours by pfn, on an LRU list or (0: none) in the buddy lists; of a page on no list, anything
# beside mem_map: machine.lru[pfn] and machine.token[pfn] (content)

# ---------------------------------------------------------------- zone
cdef enum:  # lru_list
    LRU_INACTIVE_ANON = 0
    LRU_ACTIVE_ANON = 1
    LRU_INACTIVE_FILE = 2
    LRU_ACTIVE_FILE = 3
    LRU_UNEVICTABLE = 4
    NR_LRU_LISTS = 5
    LRU_ACTIVE = 1
    LRU_FILE = 2

cdef enum:  # zone_stat_item        # /proc/vmstat's nr_*; vmstat.pyx has the names in this order
    NR_FREE_PAGES = 0
    NR_LRU_BASE                 # nr_inactive_anon .. nr_unevictable: NR_LRU_BASE + lru_list
    NR_LRU_LAST = NR_LRU_BASE + 4
    NR_MLOCK
    NR_ANON_PAGES
    NR_FILE_MAPPED
    NR_FILE_PAGES
    NR_FILE_DIRTY
    NR_WRITEBACK
    NR_SLAB_RECLAIMABLE
    NR_SLAB_UNRECLAIMABLE
    NR_PAGETABLE
    NR_KERNEL_STACK
    NR_UNSTABLE_NFS
    NR_BOUNCE
    NR_VMSCAN_WRITE
    NR_VMSCAN_IMMEDIATE
    NR_WRITEBACK_TEMP
    NR_ISOLATED_ANON
    NR_ISOLATED_FILE
    NR_SHMEM
    NR_DIRTIED
    NR_WRITTEN
    NR_ANON_TRANSPARENT_HUGEPAGES
    NR_VM_ZONE_STAT_ITEMS

cdef enum:  # vm_event_item         # /proc/vmstat's counters of events; one zone, named normal
    PGPGIN = 0
    PGPGOUT
    PSWPIN
    PSWPOUT
    PGALLOC_NORMAL
    PGFREE
    PGACTIVATE
    PGDEACTIVATE
    PGFAULT
    PGMAJFAULT
    PGREFILL_NORMAL
    PGSTEAL_NORMAL
    PGSCAN_KSWAPD_NORMAL
    PGSCAN_DIRECT_NORMAL
    PGINODESTEAL
    SLABS_SCANNED
    KSWAPD_STEAL
    KSWAPD_INODESTEAL
    KSWAPD_LOW_WMARK_HIT_QUICKLY
    KSWAPD_HIGH_WMARK_HIT_QUICKLY
    KSWAPD_SKIP_CONGESTION_WAIT
    PAGEOUTRUN
    ALLOCSTALL
    PGROTATED
    UNEVICTABLE_PGCULLED
    UNEVICTABLE_PGSCANNED
    UNEVICTABLE_PGRESCUED
    UNEVICTABLE_PGMLOCKED
    UNEVICTABLE_PGMUNLOCKED
    UNEVICTABLE_PGCLEARED
    UNEVICTABLE_PGSTRANDED
    UNEVICTABLE_MLOCKFREED
    NR_VM_EVENT_ITEMS

cdef enum:
    WMARK_MIN = 0
    WMARK_LOW = 1
    WMARK_HIGH = 2
    MAX_ORDER = 11
    MIGRATE_UNMOVABLE = 0
    MIGRATE_RECLAIMABLE = 1
    MIGRATE_MOVABLE = 2
    MIGRATE_TYPES = 3
    PAGEBLOCK_LG2 = 9           # frames of one mobility (kernel: pageblock_order)
    SWAP_CLUSTER_MAX = 32
    DEF_PRIORITY = 12

cdef struct free_area:
    uint32_t head[3]            # first free block per migrate type (pfn; 0: none), linked by machine.lru
    uint64_t nr_free            # blocks

cdef struct zone_reclaim_stat:
    uint64_t recent_rotated[2]  # [anon, file]
    uint64_t recent_scanned[2]

cdef struct zone:
    uint32_t zone_start_pfn     # first frame
    uint32_t spanned_pages      # frames
    uint32_t present_pages      # of them, usable
    uint32_t never_used_pfn     # frames from here on were never allocated: free, in no list (a buddy block is carved when needed)
    uint64_t watermark[3]
    uint64_t vm_stat[NR_VM_ZONE_STAT_ITEMS]
    free_area free[MAX_ORDER]
    uint32_t lru[NR_LRU_LISTS]  # sentinel of each list: machine.lru[sentinel].next is its head, .prev its tail
    zone_reclaim_stat reclaim_stat
    uint64_t nr_saved_scan[NR_LRU_LISTS]
    uint64_t pages_scanned      # since last reclaim
    uint32_t inactive_ratio
    uint8_t all_unreclaimable

# ---------------------------------------------------------------- anon_vma
cdef struct anon_vma:
    anon_vma* root              # its mutex is the lock of the whole tree
    anon_vma_chain* head        # same_anon_vma list: first, oldest
    anon_vma_chain* tail
    uint32_t refcount
    uint32_t serial             # number of its allocation, from 1: its name in dumps
    uint32_t lock               # as root: mutex state, see lock_state
    uint32_t pad
    uint64_t free_next          # slab free list; apart from the rest, for the slab is type-stable (SLAB_DESTROY_BY_RCU)

cdef struct anon_vma_chain:
    vm_area_struct* vma
    anon_vma_chain* next        # same_anon_vma list
    anon_vma_chain* prev
    anon_vma* anon_vma
    anon_vma_chain* same_vma_next   # same_vma list, newest first
    anon_vma_chain* same_vma_prev

# ---------------------------------------------------------------- KSM
cdef struct rmap_item:          # one place where a KSM page was merged
    anon_vma* anon_vma
    mm_struct* mm
    uint64_t address            # of the page there
    rmap_item* next             # hlist of the stable node, newest first
    uint32_t serial
    uint32_t pad

cdef struct stable_node:        # page.mapping of a KSM page is its index << 2 | 3
    rmap_item* hlist
    uint32_t kpfn
    uint32_t serial

# ---------------------------------------------------------------- address_space (with what is needed of its inode)
cdef enum:  # file_kind
    FILE_REGULAR = 0            # disk-backed: dirty pages are written back, clean ones dropped
    FILE_SHMEM = 1              # tmpfs and shared anonymous memory: swap-backed

cdef struct radix_node:         # page cache: 64 slots; a slot is pfn << 1, or swap entry << 2 | 2... see mm/radix_tree.pxd
    uint64_t slot[64]
    uint32_t count              # slots in use
    uint32_t pad

cdef struct address_space:
    uint64_t page_tree          # root slot of the radix tree
    uint64_t i_size             # bytes
    uint64_t nrpages            # page cache pages
    vm_area_struct* i_mmap      # root of the tree of linear VMAs, ordered by (vm_pgoff, insertion), with subtree's last page
    vm_area_struct* i_mmap_nonlinear        # list head, order of insertion
    vm_area_struct* i_mmap_nonlinear_tail
    uint64_t i_mmap_seq         # insertions so far
    uint32_t ino                # index in machine.mappings, from 1
    uint32_t i_mmap_writable    # VM_SHARED mappings
    uint32_t refs               # users: the File object, VMAs
    uint32_t i_mmap_lock        # i_mmap_mutex state
    uint8_t kind                # file_kind
    uint8_t page_tree_height
    uint8_t unevictable         # AS_UNEVICTABLE
    uint8_t page_shift          # lg2 of the page size: offsets are in pages
    uint8_t page_mkwrite        # the file has ->page_mkwrite and accounts dirty pages (regular files)
    uint8_t disk_tree_height
    uint64_t swapped            # shmem: pages in swap
    uint64_t acct_pages         # shared anonymous memory: pages committed for it at birth (shmem_acct_size)
    uint64_t disk_tree          # regular: root slot of the tree of content tokens on disk (0: never written); empty without has_tokens

# ---------------------------------------------------------------- vm_area_struct
cdef enum:  # vm_flags_t
    VM_READ = 0x1
    VM_WRITE = 0x2
    VM_EXEC = 0x4
    VM_SHARED = 0x8
    VM_MAYREAD = 0x10
    VM_MAYWRITE = 0x20
    VM_MAYEXEC = 0x40
    VM_MAYSHARE = 0x80
    VM_GROWSDOWN = 0x100
    VM_NOHUGEPAGE = 0x200
    VM_PFNMAP = 0x400
    VM_DENYWRITE = 0x800
    VM_EXECUTABLE = 0x1000
    VM_LOCKED = 0x2000
    VM_IO = 0x4000
    VM_SEQ_READ = 0x8000
    VM_RAND_READ = 0x10000
    VM_DONTCOPY = 0x20000
    VM_DONTEXPAND = 0x40000
    VM_RESERVED = 0x80000
    VM_ACCOUNT = 0x100000
    VM_NORESERVE = 0x200000
    VM_HUGETLB = 0x400000
    VM_NONLINEAR = 0x800000
    VM_HUGEPAGE = 0x1000000
    VM_INSERTPAGE = 0x2000000
    VM_ALWAYSDUMP = 0x4000000
    VM_CAN_NONLINEAR = 0x8000000
    VM_MIXEDMAP = 0x10000000
    VM_SAO = 0x20000000
    VM_PFN_AT_MMAP = 0x40000000
    VM_MERGEABLE = 0x80000000
    VM_STACK_INCOMPLETE_SETUP = 0x18000     # VM_RAND_READ | VM_SEQ_READ

cdef struct vm_area_struct:     # the first 64 bytes are all that a walk touches
    uint64_t vm_start
    uint64_t vm_end             # first byte after
    uint64_t vm_pgoff           # in pages: of the file, or vm_start >> page_shift at birth for anonymous memory
    uint64_t vm_flags           # vm_flags_t
    mm_struct* vm_mm
    leaf_cache leaf             # host side; reset by split, shrink, move and collapse
    anon_vma* anon_vma
    # ---
    anon_vma_chain* avc_head    # anon_vma_chain list (same_vma), newest first
    anon_vma_chain* avc_tail
    vm_area_struct* vm_next     # by address
    vm_area_struct* vm_prev
    address_space* vm_file      # NULL: anonymous private memory
    uint64_t vm_page_prot       # entry bits (format.prot), write-protected where the file wants write notification
    uint64_t vm_private_data    # nonlinear: the cursor in bytes
    vm_area_struct* i_left      # i_mmap tree
    vm_area_struct* i_right
    vm_area_struct* i_parent
    vm_area_struct* nl_next     # i_mmap_nonlinear list
    vm_area_struct* nl_prev
    uint64_t i_last             # greatest last page offset in this subtree
    uint64_t i_seq              # insertion number: second key of the tree
    uint32_t i_prio             # heap priority (a hash of i_seq)
    uint32_t serial             # number of its allocation, from 1: its name in dumps

# ---------------------------------------------------------------- mm_struct
cdef enum:
    MM_FILEPAGES = 0
    MM_ANONPAGES = 1
    MM_SWAPENTS = 2
    NR_MM_COUNTERS = 3

cdef struct mm_struct:
    addr_space hw               # page tables, TLB: first member, so that a fault finds its mm
    vm_area_struct* mmap        # first VMA by address
    vm_area_struct* mmap_cache  # last find_vma result
    vm_area_struct** vmas       # the same VMAs in an array sorted by address, for find_vma (kernel: mm_rb)
    uint32_t map_count
    uint32_t vmas_max           # room in vmas
    uint64_t mmap_base          # top of the area where mmap places, downwards
    uint64_t task_size
    uint64_t free_area_cache
    uint64_t cached_hole_size
    uint64_t start_brk, brk
    uint64_t start_stack
    int64_t rss_stat[NR_MM_COUNTERS]    # pages
    uint64_t hiwater_rss        # pages, as update_hiwater_rss last left it
    uint64_t hiwater_vm
    uint64_t total_vm, shared_vm, exec_vm, stack_vm, locked_vm  # pages
    uint64_t def_flags
    uint64_t maj_flt, min_flt
    mm_struct* mmlist_next      # list of mms with swapped pages; NULL: not on it
    mm_struct* mmlist_prev
    int32_t mmap_sem            # > 0 readers, -1 a writer, 0 free
    uint32_t mmap_sem_other     # held by "someone else": 0 no, 1 read, 2 write
    uint32_t page_table_lock    # lock_state: this lock or, with split_ptlocks, that of a leaf table
    uint32_t mm_users           # 0: gone
    uint32_t pid                # number of the process, from 1
    uint32_t memcg              # group number, 0: root
    uint32_t notifiers          # mmu notifiers registered
    uint32_t faultstamp, token_priority, last_interval
    uint8_t in_use              # the slot of the arena is live
    uint8_t dumpable, oom
    uint8_t page_table_lock_other   # ptl_other: what "someone else" holds (of one leaf table: private of its frame)

# ---------------------------------------------------------------- swap
cdef enum:
    SWAP_MAP_MAX = 0x3e         # as in v3.2's swap_map byte
    SWAP_MAP_BAD = 0x3f
    SWAP_HAS_CACHE = 0x40
    COUNT_CONTINUED = 0x80
    SWAP_MAP_SHMEM = 0xbf
    MAX_SWAPFILES = 29          # types above are hwpoison and migration entries
    SWP_HWPOISON = 29
    SWP_MIGRATION_READ = 30
    SWP_MIGRATION_WRITE = 31
    SWAPFILE_CLUSTER = 256

cdef enum:                      # swap_info_struct.flags
    SWP_USED = 1
    SWP_WRITEOK = 2
    SWP_SOLIDSTATE = 16         # seeks are cheap: a new cluster is looked for from the current position

cdef struct swap_info_struct:
    uint8_t* swap_map           # users of a slot | SWAP_HAS_CACHE; slot 0 is the header
    uint32_t* cache             # pfn of the swap-cache page, only under SWAP_HAS_CACHE
    uint32_t* extra             # counts beyond SWAP_MAP_MAX (swap count continuation)
    uint64_t* token             # content written to the slot; only where machine.has_tokens
    uint32_t max                # slots, header included
    uint32_t pages              # usable
    uint32_t inuse_pages
    uint32_t lowest_bit, highest_bit, cluster_next, cluster_nr
    int32_t prio
    int32_t next                # type of the next area in order of priority; -1: none
    uint8_t flags               # SWP_*
    uint8_t type

# ---------------------------------------------------------------- memory cgroups
cdef enum:
    NR_MEMCG = 64               # groups: 0 is the root
    PCG_USED = 1                # page_cgroup: the page is charged
    PCG_CACHE = 2               # charged as page cache, else as anonymous
    PCG_FILE_MAPPED = 4         # counted in file_mapped
    PCG_GROUP_SHIFT = 3         # the group's number is above the flags

cdef struct mem_cgroup:         # its own pages, children apart
    int64_t usage               # pages charged to its counter (the root has none)
    int64_t cache, rss          # pages charged, by kind
    int64_t file_mapped         # MEM_CGROUP_STAT_FILE_MAPPED
    uint64_t pgpgin, pgpgout    # charges and uncharges

# ---------------------------------------------------------------- mmu notifiers
cdef enum:  # notifier_op
    NOTIFY_CLEAR_FLUSH_YOUNG = 0
    NOTIFY_INVALIDATE_PAGE
    NOTIFY_INVALIDATE_RANGE_START
    NOTIFY_INVALIDATE_RANGE_END
    NOTIFY_RELEASE

# ---------------------------------------------------------------- arenas
cdef enum:  # kmem_kind             # what fail_alloc can name; kmem.pyx has the names in this order
    KMEM_MM = 0
    KMEM_VMA
    KMEM_AVC
    KMEM_ANON_VMA
    KMEM_MAPPING
    KMEM_RADIX_NODE
    KMEM_HEAP                   # arrays: mm.vmas, host caches
    KMEM_STABLE_NODE
    KMEM_RMAP_ITEM
    KMEM_SWAP_COUNT             # swap count continuation pages
    KMEM_PAGE                   # frames, page tables apart
    KMEM_TABLE                  # frames for page tables
    NR_KMEM

cdef struct kmem_cache:         # one reserved region of equal objects, carved from a watermark, freed ones reused last in, first out
    uint8_t* base
    uint64_t reserved_bytes
    uint64_t used_bytes         # watermark
    uint64_t free_head          # offset + 1 of the first free object, 0: none; see link_bytes
    uint64_t allocated          # objects ever: serial numbers
    uint64_t freed              # of them
    uint64_t by_bench[2]        # of both, the workbench's: no cost
    uint32_t object_bytes
    uint32_t link_bytes         # where in a free object the next one's offset + 1 stands

cdef struct fail_rule:          # m.lab.fail_alloc
    uint64_t nth                # 0: off; 1: the next matching one fails
    uint64_t count              # how many fail from then on
    uint32_t kind_mask          # 1 << kmem_kind
    uint32_t gfp_mask           # 0: any, else only calls with all these bits
    uint64_t failed             # so far

cdef enum:  # gfp_t
    GFP_NOWAIT = 0
    GFP_WAIT = 0x10             # __GFP_WAIT: may reclaim
    GFP_HIGH = 0x20             # __GFP_HIGH
    GFP_IO = 0x40
    GFP_FS = 0x80
    GFP_NOWARN = 0x200
    GFP_NORETRY = 0x1000
    GFP_MEMALLOC = 0x20000      # PF_MEMALLOC: below all watermarks (internal)
    GFP_MOVABLE = 0x80000       # __GFP_MOVABLE
    GFP_USER_PAGE = 0x40000000  # a page of the trace's own (counts against `frames=`)
    GFP_KERNEL = 0xd0           # WAIT | IO | FS
    GFP_ATOMIC = 0x20
    GFP_HIGHUSER_MOVABLE = 0x400800d0  # WAIT | IO | FS | MOVABLE | USER_PAGE

# ---------------------------------------------------------------- bugs and locks
cdef enum:  # bug_kind
    BUG_NONE = 0
    BUG_BUG_ON = 1              # BUG_ON
    BUG_VM_BUG_ON = 2           # VM_BUG_ON (CONFIG_DEBUG_VM)
    BUG_DEADLOCK = 3            # a lock taken twice
    BUG_OOPS = 4                # a dereference that would fault
    BUG_LOCK_ORDER = 5          # not the kernel's: our check
    BUG_WOULD_BLOCK = 6         # not a bug: a blocking lock is held by someone else, no callback helped

cdef enum:  # lock_state
    LOCK_FREE = 0
    LOCK_HELD = 1               # by the running operation
    LOCK_OTHER = 2              # by "someone else" (m.lab.hold)

cdef enum:  # ptl_other
    PTL_NONE = 0
    PTL_OF_MM = 1               # page_table_lock
    PTL_ALL = 2                 # and with split_ptlocks the lock of every leaf table

cdef struct bug_t:
    int kind                    # bug_kind
    const char* condition       # static text
    const char* function        # static text
    int lock_class, lock_held   # lock_order: the class taken, the class held
    void* object                # deadlock, would_block: the lock's owner

cdef enum:
    MAX_LOCK_DEPTH = 48         # as lockdep's: locks of a class held beside its first

cdef struct held_lock:
    void* object                # what has the lock: anon_vma, mm_struct, address_space, page; NULL: one of a kind
    uint32_t lock_class
    uint32_t pad

cdef struct sysctl_t:
    uint64_t swappiness         # 0..100
    uint64_t min_free_kbytes
    uint64_t page_cluster       # lg2 of swap readahead in pages
    uint64_t overcommit_memory  # 0, 1, 2
    uint64_t overcommit_ratio
    uint64_t max_map_count
    uint64_t drop_caches
    uint64_t dirty_ratio, dirty_background_ratio
    uint64_t vfs_cache_pressure

cdef struct config_t:           # what CONFIG_ options switch
    uint8_t debug_vm            # DEBUG_VM: VM_BUG_ON and __page_check_anon_rmap
    uint8_t migration           # MIGRATION: PAGE_MIGRATION
    uint8_t hugetlb_page
    uint8_t transparent_hugepage
    uint8_t ksm
    uint8_t split_ptlocks       # NR_CPUS >= SPLIT_PTLOCK_CPUS
    uint8_t cgroup_mem
    uint8_t mmu_notifier
    uint8_t zero_page           # read faults map the zero page
    uint8_t swap_readahead      # swapin_readahead reads 1 << page_cluster slots
    uint8_t cluster_mlock_fix   # CVE-2014-3122 mended

cdef struct reclaim_policy:     # a policy that plugs in beside v3.2 (sim/policies); all batched
    void* state
    void (*added)(machine* m, void* state, uint32_t pfn) noexcept nogil             # a page came onto the lists
    void (*removed)(machine* m, void* state, uint32_t pfn) noexcept nogil           # a page left them by other ways than as a victim
    void (*touched)(machine* m, void* state, const uint32_t* pfn, int64_t n) noexcept nogil   # every access, in order; NULL: not wanted
    int (*victims)(machine* m, void* state, uint32_t* pfn, int n) noexcept nogil    # up to n pages to evict, best first

cdef struct machine:
    hw_t hw                     # first: callbacks of the hardware find their machine
    page* pages                 # mem_map, indexed by pfn
    list_head* lru              # page->lru by pfn; after the last frame the sentinels of the LRU lists
    uint64_t* token             # content token by pfn; only looked at where has_tokens
    uint32_t* page_cgroup       # by pfn: group << PCG_GROUP_SHIFT | PCG_*; only looked at where nr_charged
    uint64_t nr_charged         # pages charged to a group
    mem_cgroup memcg[NR_MEMCG]
    uint8_t has_tokens          # some token was ever non-zero
    uint8_t page_shift
    uint8_t dead                # after a KernelBug
    uint8_t in_reclaim          # PF_MEMALLOC
    uint8_t is_kswapd           # current_is_kswapd()
    uint8_t kswapd_wanted
    uint32_t nr_frames          # frames of physical memory (pfn 0 is never used; pfn 1 is the zero page)
    uint32_t zero_pfn           # ZERO_PAGE(0)
    uint32_t nr_zones
    zone zones[2]               # [0] normal; [1] tables and reserves apart, only with frames=
    uint8_t* pageblock          # migrate type of each block of 2^PAGEBLOCK_LG2 frames, as MIGRATE_MOVABLE - type (0: movable, as at boot)
    uint32_t user_frames_max    # with frames=: pages of the trace's own that may live at once; 0: no such bound
    uint32_t user_frames
    uint64_t vm_events[NR_VM_EVENT_ITEMS]
    uint64_t clock              # logical: accesses so far and explicit ticks
    # arenas
    uint8_t* arena_base         # the one reservation
    uint64_t arena_bytes
    uint64_t arena_used         # reserved so far, page aligned
    kmem_cache kmem[NR_KMEM]
    uint64_t heap_free[40]      # KMEM_HEAP: free blocks by lg2 size (offset + 1)
    fail_rule fail
    uint8_t slab_reuse          # 1 lifo (default), 0 none
    # mms and files
    mm_struct* current          # whose fault or system call is running
    mm_struct* mmlist_head      # init_mm.mmlist: newest first
    mm_struct* swap_token_mm
    uint32_t nr_mms             # live
    uint64_t next_pid
    # swap
    swap_info_struct swap_info[MAX_SWAPFILES]
    uint32_t nr_swapfiles
    int32_t swap_list_head      # areas by falling priority; -1: none
    int32_t swap_list_next      # where the next slot is looked for
    uint64_t nr_swapcache_pages  # total_swapcache_pages
    int64_t nr_swap_pages       # free slots
    int64_t total_swap_pages
    uint64_t committed_as       # pages of VM_ACCOUNT
    # knobs
    sysctl_t sysctl
    config_t config
    reclaim_policy* policy      # NULL: v3.2's two lists
    # locks and bugs
    void* held[NR_LOCK_CLASSES]     # by lock_class, what has the lock that the running operation holds; only where held_mask says so
    uint32_t held_mask          # bit per lock_class
    uint64_t waited_va          # of the page table lock waited for last: where its leaf table begins, or NO_LEAF
    uint32_t nr_held_more
    held_lock held_more[MAX_LOCK_DEPTH]     # second ones of a class (nested, or trylocks), in the order taken
    uint32_t nr_held_other      # locks held by "someone else" (0: every trylock of a free lock succeeds)
    uint32_t other_mask         # bit per lock_class: a lock that is one of a kind is held by "someone else"
    uint32_t nr_notified        # mms with mmu notifiers
    bug_t bug
    uint8_t warned[8]           # WARN_ON_ONCE sites that fired
    uint64_t warnings
    uint8_t trap[512]           # jmp_buf: KernelBug unwinds to the face
    uint8_t trap_set
    int (*block_callback)(machine* m, int lock_class, void* object) noexcept nogil  # a blocking lock is waited for: 0 when it helped
    # the notifiers of an mm are told (mmu_notifier.pxd): the young bits that they report, or 0
    int (*notifier)(machine* m, mm_struct* mm, int op, uint64_t va, uint64_t end) noexcept nogil
    void* py                    # the Machine object, for callbacks
    uint8_t interrupted         # Ctrl-C seen: long operations stop at the next safe point

cdef inline address_space* page_file_mapping(machine* m, const page* p) noexcept nogil:
    """page->mapping of a file page, NULL where it has none or is anonymous."""
    if p.mapping == 0 or p.mapping & PAGE_MAPPING_FLAGS:
        return NULL
    return <address_space*>m.kmem[KMEM_MAPPING].base + (p.mapping >> PAGE_MAPPING_SHIFT)

cdef inline anon_vma* page_anon_vma(machine* m, const page* p) noexcept nogil:
    """page_anon_vma: NULL unless the page is anonymous, of an anon_vma, and not KSM."""
    if (p.mapping & PAGE_MAPPING_FLAGS) != PAGE_MAPPING_ANON or p.mapping == PAGE_MAPPING_ANON:
        return NULL
    return <anon_vma*>m.kmem[KMEM_ANON_VMA].base + (p.mapping >> PAGE_MAPPING_SHIFT)

cdef inline uint32_t anon_vma_to_mapping(machine* m, anon_vma* av) noexcept nogil:
    return <uint32_t>((av - <anon_vma*>m.kmem[KMEM_ANON_VMA].base) << PAGE_MAPPING_SHIFT) | PAGE_MAPPING_ANON

cdef inline bint PageAnon(const page* p) noexcept nogil:
    return (p.mapping & PAGE_MAPPING_ANON) != 0

cdef inline bint PageKsm(const page* p) noexcept nogil:
    return (p.mapping & PAGE_MAPPING_FLAGS) == (PAGE_MAPPING_ANON | PAGE_MAPPING_KSM)

cdef inline uint32_t page_to_pfn(machine* m, const page* p) noexcept nogil:
    return <uint32_t>(p - m.pages)

cdef inline zone* page_zone(machine* m, uint32_t pfn) noexcept nogil:
    return &m.zones[1] if m.nr_zones > 1 and pfn >= m.zones[1].zone_start_pfn else &m.zones[0]

cdef inline void inc_zone_page_state(machine* m, uint32_t pfn, int item) noexcept nogil:
    page_zone(m, pfn).vm_stat[item] += 1

cdef inline void dec_zone_page_state(machine* m, uint32_t pfn, int item) noexcept nogil:
    page_zone(m, pfn).vm_stat[item] -= 1

cdef inline void count_vm_event(machine* m, int item) noexcept nogil:
    m.vm_events[item] += 1

cdef inline uint64_t linear_page_index(machine* m, const vm_area_struct* v, uint64_t va) noexcept nogil:
    """In pages; in a hugetlb VMA in huge pages (linear_hugepage_index)."""
    if rm_unlikely(v.vm_flags & VM_HUGETLB) and m.config.hugetlb_page:
        return ((va - v.vm_start) >> m.hw.fmt.level[1].shift) + (v.vm_pgoff >> (m.hw.fmt.level[1].shift - m.page_shift))
    return ((va - v.vm_start) >> m.page_shift) + v.vm_pgoff

cdef inline uint64_t private_to_entry(uint32_t private) noexcept nogil:
    """page_private of a swap-cache page as a swp_entry_t."""
    return (<uint64_t>(private >> 27)) << 58 | (private & ((1 << 27) - 1))

cdef inline uint32_t entry_to_private(uint64_t entry) noexcept nogil:
    return <uint32_t>((entry >> 58) << 27 | (entry & ((1 << 27) - 1)))
