# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Setting a machine up: one reservation holds mem_map, keys, physical memory, the slab and the swap maps; nothing is touched yet.
# Kernel: start_kernel, free_area_init. A machine of a terabyte costs what it touches.
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free
from rmapemu.mm.kmem cimport arena_init, arena_exit, arena_reserve, arena_objects_bytes, kmem_init, kmalloc, kfree
from rmapemu.mm.page_alloc cimport alloc_table, free_table, setup_per_zone_wmarks, init_per_zone_wmark_min
from rmapemu.mm.types cimport *

cdef enum:
    SWAP_META_BYTES = <uint64_t>1 << 36     # virtual room for the maps of all swap areas
    TABLE_RESERVE_FRAMES = 1 << 20          # frames=: for page tables, apart from the trace's own
    MAX_FRAMES = <uint64_t>1 << 31          # addr_space.tlb_pfn keeps a flag in the top bit


cdef void* alloc_host(void* ctx, uint64_t size) noexcept nogil:
    return kmalloc(<machine*>ctx, size, GFP_KERNEL)


cdef void free_host(void* ctx, void* p, uint64_t size) noexcept nogil:
    kfree(<machine*>ctx, p, size)


cdef uint64_t minimum_frames(const pt_format* fmt) noexcept nogil:
    return 64


cdef void default_knobs(machine* m, const machine_params* p) noexcept nogil:
    m.sysctl.swappiness = 60
    m.sysctl.page_cluster = 3
    m.sysctl.overcommit_memory = 0
    m.sysctl.overcommit_ratio = 50
    m.sysctl.max_map_count = 65530
    m.sysctl.dirty_ratio = 20
    m.sysctl.dirty_background_ratio = 10
    m.sysctl.vfs_cache_pressure = 100
    m.config.debug_vm = 1
    m.config.migration = 1
    m.config.hugetlb_page = 1
    # no v3.2 arch whose accessed bits are in storage keys had it
    m.config.transparent_hugepage = p.fmt.level[1].huge.mask[0] != 0 and p.fmt.young != 0
    m.config.ksm = 1
    m.config.split_ptlocks = 1
    m.config.cgroup_mem = 1
    m.config.mmu_notifier = 1
    m.config.zero_page = p.zero_page
    m.config.swap_readahead = p.swap_readahead
    m.slab_reuse = 1
    m.next_pid = 1


cdef int reserve_all(machine* m, uint64_t frames, bint keys) noexcept nogil:
    cdef uint64_t sentinels = 2 * NR_LRU_LISTS
    cdef uint64_t physical = frames << m.page_shift
    cdef uint64_t each = sizeof(page) + sizeof(list_head) + 8 + 4 + 1
    if arena_init(m, physical + (frames + sentinels) * each + arena_objects_bytes() + SWAP_META_BYTES + (<uint64_t>64 << 20)):
        return -ENOMEM
    m.pages = <page*>arena_reserve(m, frames * sizeof(page))
    m.lru = <list_head*>arena_reserve(m, (frames + sentinels) * sizeof(list_head))
    m.token = <uint64_t*>arena_reserve(m, frames * 8)
    m.page_cgroup = <uint32_t*>arena_reserve(m, frames * 4)
    m.hw.skey = <uint8_t*>arena_reserve(m, frames) if keys else NULL
    m.hw.base = <uint8_t*>arena_reserve(m, physical)
    return kmem_init(m)


cdef void zone_init(machine* m, int i, uint64_t start, uint64_t frames, uint64_t used) noexcept nogil:
    cdef zone* z = &m.zones[i]
    cdef int lru
    z.zone_start_pfn = <uint32_t>start
    z.spanned_pages = <uint32_t>frames
    z.present_pages = <uint32_t>(frames - used)
    z.never_used_pfn = <uint32_t>(start + used)
    z.vm_stat[NR_FREE_PAGES] = frames - used
    z.inactive_ratio = 1
    for lru in range(NR_LRU_LISTS):
        z.lru[lru] = m.nr_frames + i * NR_LRU_LISTS + lru
        m.lru[z.lru[lru]].next = z.lru[lru]
        m.lru[z.lru[lru]].prev = z.lru[lru]


cdef int mem_init(machine* m, uint64_t nr_frames, uint64_t reserve_frames) noexcept nogil:
    """Zone 0 has the first nr_frames (two of them not usable: frame 0 and the zero page), zone 1 the reserve."""
    if nr_frames < 3:
        return -EINVAL
    m.pageblock = <uint8_t*>arena_reserve(m, ((nr_frames + reserve_frames) >> PAGEBLOCK_LG2) + 1)
    if m.pageblock == NULL:
        return -ENOMEM
    m.nr_zones = 2 if reserve_frames else 1
    zone_init(m, 0, 0, nr_frames, 2)
    if reserve_frames:
        zone_init(m, 1, nr_frames, reserve_frames, 0)
    m.pages[0].flags = PG_reserved
    m.pages[0].count = 1
    m.zero_pfn = 1
    m.pages[1].flags = PG_reserved | PG_uptodate
    m.pages[1].count = 1
    m.swap_list_head = -1
    m.swap_list_next = -1
    return 0


cdef int machine_setup(machine* m, const machine_params* p) noexcept nogil:
    cdef uint64_t frames, reserve = 0
    cdef int err
    m.page_shift = p.fmt.page_shift
    m.hw.fmt = p.fmt
    m.hw.ops = p.ops
    m.hw.ctx = m
    m.hw.key_exact = p.key_exact
    m.hw.alloc_table = alloc_table
    m.hw.free_table = free_table
    m.hw.alloc_host = alloc_host
    m.hw.free_host = free_host
    default_knobs(m, p)
    if p.frames:
        frames = p.frames + 2               # pfn 0 and the zero page
        reserve = TABLE_RESERVE_FRAMES
        m.user_frames_max = <uint32_t>p.frames
    else:
        frames = p.memory_bytes >> m.page_shift
        if frames < minimum_frames(p.fmt):
            return -EINVAL
    if frames + reserve >= MAX_FRAMES:
        return -EINVAL
    m.nr_frames = <uint32_t>(frames + reserve)
    err = reserve_all(m, frames + reserve, p.fmt.key_referenced != 0)
    if err == 0:
        err = mem_init(m, frames, reserve)
    if err == 0:
        m.sysctl.min_free_kbytes = 0 if p.frames else init_per_zone_wmark_min(m)
        setup_per_zone_wmarks(m)
    return err


cdef machine* machine_create(const machine_params* params, int* err) noexcept nogil:
    cdef machine* m = <machine*>calloc(1, sizeof(machine))
    if m == NULL:
        err[0] = -ENOMEM
        return NULL
    err[0] = machine_setup(m, params)
    if err[0]:
        machine_destroy(m)
        return NULL
    return m


cdef void machine_destroy(machine* m) noexcept nogil:
    arena_exit(m)
    free(m)


cdef int swap_arrays(machine* m, swap_info_struct* si, uint64_t slots) noexcept nogil:
    si.swap_map = <uint8_t*>arena_reserve(m, slots)
    si.cache = <uint32_t*>arena_reserve(m, slots * 4)
    si.extra = <uint32_t*>arena_reserve(m, slots * 4)
    si.token = <uint64_t*>arena_reserve(m, slots * 8)
    return -ENOMEM if si.token == NULL else 0


cdef uint64_t kmem_footprint(machine* m) noexcept nogil:
    cdef uint64_t bytes = 0
    cdef uint64_t pages = m.zones[0].never_used_pfn - m.zones[0].zone_start_pfn
    cdef int i
    if m.nr_zones > 1:
        pages += m.zones[1].never_used_pfn - m.zones[1].zone_start_pfn
    bytes = pages * (sizeof(page) + sizeof(list_head))
    bytes += pages * ((4 if m.nr_charged else 0) + (8 if m.has_tokens else 0) + (1 if m.hw.skey != NULL else 0))
    for i in range(NR_KMEM):
        bytes += m.kmem[i].used_bytes
    for i in range(<int>m.nr_zones):
        bytes += m.zones[i].vm_stat[NR_PAGETABLE] << m.page_shift
    for i in range(<int>m.nr_swapfiles):
        bytes += <uint64_t>m.swap_info[i].highest_bit * 5
    return bytes
