# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.clone(): the used parts of the one reservation are copied, and every pointer in them moves by the same distance.
# Kernel: none. A function per struct; the struct `machine` itself holds no emulated addresses, so all its words are looked at.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy
from rmapemu.hw.ops cimport PDE_SLOTS
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.kmem cimport arena_init
from rmapemu.mm.machine cimport machine_destroy
from rmapemu.mm.types cimport *

from rmapemu.errors import BusyError

cdef enum:
    CHUNK_WORDS = 512           # words copied, or left alone where all are zero

cdef struct move_t:
    uint64_t first, end         # the old reservation
    uint64_t distance


cdef inline void moved(const move_t* d, void** p) noexcept nogil:
    if d.first <= <uint64_t>p[0] < d.end:
        p[0] = <void*>(<uint64_t>p[0] + d.distance)


# ---------------------------------------------------------------- copying
cdef void copy_part(const move_t* d, const void* source, uint64_t size) noexcept nogil:
    """The same place of the new reservation; pages that are all zero stay untouched there."""
    cdef const uint64_t* s = <const uint64_t*>(<uint64_t>source & ~<uint64_t>7)
    cdef const uint64_t* end = <const uint64_t*>((<uint64_t>source + size + 7) & ~<uint64_t>7)
    cdef uint64_t* t
    cdef int64_t i, n
    cdef uint64_t any
    while s < end:
        n = min(end - s, <int64_t>CHUNK_WORDS)
        any = 0
        for i in range(n):
            any |= s[i]
        if any:
            t = <uint64_t*>(<uint64_t>s + d.distance)
            memcpy(t, s, n * 8)
        s += n


cdef void copy_frames(machine* m, const move_t* d, uint32_t first, uint32_t end) noexcept nogil:
    cdef uint32_t pfn
    copy_part(d, &m.pages[first], (end - first) * sizeof(page))
    copy_part(d, &m.lru[first], <uint64_t>(end - first) * sizeof(list_head))
    copy_part(d, &m.token[first], <uint64_t>(end - first) * 8)
    if m.nr_charged:
        copy_part(d, &m.page_cgroup[first], <uint64_t>(end - first) * 4)
    if m.hw.skey != NULL:
        copy_part(d, m.hw.skey + first, end - first)
    for pfn in range(first, end):
        if m.pages[pfn].flags & PG_table:
            copy_part(d, m.hw.base + (<uint64_t>pfn << m.page_shift), <uint64_t>1 << m.page_shift)


cdef void copy_all(machine* m, const move_t* d) noexcept nogil:
    cdef swap_info_struct* si
    cdef int i
    for i in range(<int>m.nr_zones):
        copy_frames(m, d, m.zones[i].zone_start_pfn, m.zones[i].never_used_pfn)
    copy_frames(m, d, 0, 2)
    copy_part(d, &m.lru[m.nr_frames], 2 * NR_LRU_LISTS * sizeof(list_head))
    if m.pageblock != NULL:
        copy_part(d, m.pageblock, (m.nr_frames >> PAGEBLOCK_LG2) + 1)
    for i in range(NR_KMEM):
        if m.kmem[i].base != NULL:
            copy_part(d, m.kmem[i].base, m.kmem[i].used_bytes)
    for i in range(<int>m.nr_swapfiles):
        si = &m.swap_info[i]
        copy_part(d, si.swap_map, si.max)
        copy_part(d, si.cache, <uint64_t>si.max * 4)
        copy_part(d, si.extra, <uint64_t>si.max * 4)
        copy_part(d, si.token, <uint64_t>si.max * 8)


# ---------------------------------------------------------------- moving pointers
cdef void move_machine(machine* n, const move_t* d) noexcept nogil:
    cdef uint64_t i
    for i in range(sizeof(machine) // 8):
        moved(d, &(<void**>n)[i])


cdef void move_mm(mm_struct* mm, const move_t* d) noexcept nogil:
    cdef uint32_t i
    moved(d, <void**>&mm.hw.tlb)
    moved(d, <void**>&mm.hw.tlb_pfn)
    moved(d, <void**>&mm.hw.pde)
    moved(d, <void**>&mm.mmap)
    moved(d, <void**>&mm.mmap_cache)
    moved(d, <void**>&mm.vmas)
    moved(d, <void**>&mm.mmlist_next)
    moved(d, <void**>&mm.mmlist_prev)
    if not mm.in_use:
        return
    for i in range(mm.map_count):
        moved(d, <void**>&mm.vmas[i])
    if mm.hw.pde != NULL:
        for i in range(<uint32_t>PDE_SLOTS):
            moved(d, <void**>&mm.hw.pde[i].leaf)


cdef void move_vma(vm_area_struct* v, const move_t* d) noexcept nogil:
    moved(d, <void**>&v.vm_mm)
    moved(d, <void**>&v.leaf.leaf)
    moved(d, <void**>&v.anon_vma)
    moved(d, <void**>&v.avc_head)
    moved(d, <void**>&v.avc_tail)
    moved(d, <void**>&v.vm_next)
    moved(d, <void**>&v.vm_prev)
    moved(d, <void**>&v.vm_file)
    moved(d, <void**>&v.i_left)
    moved(d, <void**>&v.i_right)
    moved(d, <void**>&v.i_parent)
    moved(d, <void**>&v.nl_next)
    moved(d, <void**>&v.nl_prev)


cdef void move_avc(anon_vma_chain* c, const move_t* d) noexcept nogil:
    moved(d, <void**>&c.vma)
    moved(d, <void**>&c.next)
    moved(d, <void**>&c.prev)
    moved(d, <void**>&c.anon_vma)
    moved(d, <void**>&c.same_vma_next)
    moved(d, <void**>&c.same_vma_prev)


cdef void move_anon_vma(anon_vma* av, const move_t* d) noexcept nogil:
    moved(d, <void**>&av.root)
    moved(d, <void**>&av.head)
    moved(d, <void**>&av.tail)


cdef void move_mapping(address_space* a, const move_t* d) noexcept nogil:
    moved(d, <void**>&a.i_mmap)
    moved(d, <void**>&a.i_mmap_nonlinear)
    moved(d, <void**>&a.i_mmap_nonlinear_tail)


cdef void move_ksm(machine* n, const move_t* d) noexcept nogil:
    cdef stable_node* s = <stable_node*>n.kmem[KMEM_STABLE_NODE].base
    cdef rmap_item* r = <rmap_item*>n.kmem[KMEM_RMAP_ITEM].base
    cdef uint64_t i
    for i in range(n.kmem[KMEM_STABLE_NODE].used_bytes // n.kmem[KMEM_STABLE_NODE].object_bytes):
        moved(d, <void**>&(<stable_node*>(<uint8_t*>s + i * n.kmem[KMEM_STABLE_NODE].object_bytes)).hlist)
    for i in range(n.kmem[KMEM_RMAP_ITEM].used_bytes // n.kmem[KMEM_RMAP_ITEM].object_bytes):
        move_rmap_item(<rmap_item*>(<uint8_t*>r + i * n.kmem[KMEM_RMAP_ITEM].object_bytes), d)


cdef void move_rmap_item(rmap_item* r, const move_t* d) noexcept nogil:
    moved(d, <void**>&r.anon_vma)
    moved(d, <void**>&r.mm)
    moved(d, <void**>&r.next)


cdef void move_all(machine* n, const move_t* d) noexcept nogil:
    cdef uint64_t i
    move_machine(n, d)
    for i in range(n.kmem[KMEM_MM].used_bytes // sizeof(mm_struct)):
        move_mm(&(<mm_struct*>n.kmem[KMEM_MM].base)[i], d)
    for i in range(n.kmem[KMEM_VMA].used_bytes // sizeof(vm_area_struct)):
        move_vma(&(<vm_area_struct*>n.kmem[KMEM_VMA].base)[i], d)
    for i in range(n.kmem[KMEM_AVC].used_bytes // sizeof(anon_vma_chain)):
        move_avc(&(<anon_vma_chain*>n.kmem[KMEM_AVC].base)[i], d)
    for i in range(n.kmem[KMEM_ANON_VMA].used_bytes // sizeof(anon_vma)):
        move_anon_vma(&(<anon_vma*>n.kmem[KMEM_ANON_VMA].base)[i], d)
    for i in range(n.kmem[KMEM_MAPPING].used_bytes // sizeof(address_space)):
        move_mapping(&(<address_space*>n.kmem[KMEM_MAPPING].base)[i], d)
    move_ksm(n, d)
    if n.policy != NULL:
        moved(d, &n.policy.state)


cdef void forget_notifiers(machine* n) noexcept nogil:
    """They are Python's, and stay with the original."""
    cdef uint64_t i
    for i in range(n.kmem[KMEM_MM].used_bytes // sizeof(mm_struct)):
        (<mm_struct*>n.kmem[KMEM_MM].base)[i].notifiers = 0
    n.nr_notified = 0


cdef machine* copy_machine(machine* m) noexcept nogil:
    cdef machine* n = <machine*>calloc(1, sizeof(machine))
    cdef move_t d
    if n == NULL or arena_init(n, m.arena_bytes):
        if n != NULL:
            machine_destroy(n)
        return NULL
    d.first = <uint64_t>m.arena_base
    d.end = d.first + m.arena_bytes
    d.distance = <uint64_t>n.arena_base - d.first
    memcpy(n, m, sizeof(machine))
    copy_all(m, &d)
    move_all(n, &d)
    n.hw.ctx = n
    n.trap_set = 0
    return n


def clone_machine(Machine machine not None):
    """An exact copy; callbacks of the bench are not taken over."""
    cdef Machine twin = Machine.__new__(Machine)
    machine.readable()
    if machine.busy:
        raise BusyError("the machine is running an operation")
    with nogil:
        twin.m = copy_machine(machine.m)
    if twin.m == NULL:
        raise MemoryError("no host memory for a second machine")
    twin.m.py = <void*>twin
    twin.m.block_callback = NULL
    forget_notifiers(twin.m)
    twin.avcs = dict(machine.avcs)
    twin.by_hand = machine.by_hand
    twin.backend = machine.backend
    twin.policy = machine.policy
    twin.arch, twin.reclaim, twin.rmap_design = machine.arch, machine.reclaim, machine.rmap_design
    twin.keys, twin.thp = machine.keys, machine.thp
    twin.tasks, twin.file_names, twin.swap_sizes = dict(machine.tasks), dict(machine.file_names), list(machine.swap_sizes)
    return twin
