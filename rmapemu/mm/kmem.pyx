# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The slab: typed arenas in one lazily backed reservation, freed at once with the machine.
# Kernel: mm/slab.c. Differs: no slabs of pages, so nothing is taken from the machine's frames; a freed object keeps its bytes
# but for the link of the free list, as SLAB_DESTROY_BY_RCU promises for anon_vmas.
from libc.errno cimport ENOMEM
from libc.string cimport memset
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.mm.types cimport *

cdef extern from "sys/mman.h" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    const int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE

cdef enum:
    ARENA_PAGE = 1 << 21
    OBJECTS_BYTES = <uint64_t>1 << 32       # virtual room of one kind; only what is used is backed
    HEAP_BYTES = <uint64_t>1 << 34
    HEAP_MIN_LG2 = 6
    COLOUR = 4096 + 3 * 64                  # between the first objects of two kinds: they shall not share a set of the host's L1 cache


cdef int arena_init(machine* m, uint64_t size) noexcept nogil:
    cdef void* p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if p == <void*>-1:
        return -ENOMEM
    m.arena_base = <uint8_t*>p
    m.arena_bytes = size
    m.arena_used = 0
    return 0


cdef void arena_exit(machine* m) noexcept nogil:
    if m.arena_base != NULL:
        munmap(m.arena_base, m.arena_bytes)
        m.arena_base = NULL


cdef void* arena_reserve(machine* m, uint64_t size) noexcept nogil:
    cdef uint64_t at = m.arena_used
    size = (size + ARENA_PAGE - 1) & ~<uint64_t>(ARENA_PAGE - 1)
    if size > m.arena_bytes - at:
        return NULL
    m.arena_used = at + size
    return m.arena_base + at


cdef int cache_init(machine* m, int kind, uint32_t object_bytes, uint32_t link_bytes, uint64_t room) noexcept nogil:
    cdef kmem_cache* c = &m.kmem[kind]
    c.base = <uint8_t*>arena_reserve(m, room)
    if c.base == NULL:
        return -ENOMEM
    c.base += kind * COLOUR
    c.reserved_bytes = room - kind * COLOUR
    c.object_bytes = object_bytes
    c.link_bytes = link_bytes
    # number 0 is nobody: page.mapping and the numbers in dumps start at 1
    c.used_bytes = object_bytes
    return 0


cdef int kmem_init(machine* m) noexcept nogil:
    cdef anon_vma av
    cdef uint32_t link = <uint32_t>(<uint64_t>&av.free_next - <uint64_t>&av)
    if cache_init(m, KMEM_MM, sizeof(mm_struct), 0, OBJECTS_BYTES) or cache_init(m, KMEM_VMA, sizeof(vm_area_struct), 0, OBJECTS_BYTES):
        return -ENOMEM
    if cache_init(m, KMEM_AVC, sizeof(anon_vma_chain), 0, OBJECTS_BYTES) or \
            cache_init(m, KMEM_ANON_VMA, sizeof(anon_vma), link, OBJECTS_BYTES):
        return -ENOMEM
    if cache_init(m, KMEM_MAPPING, sizeof(address_space), 0, OBJECTS_BYTES) or \
            cache_init(m, KMEM_RADIX_NODE, sizeof(radix_node), 0, HEAP_BYTES):
        return -ENOMEM
    if cache_init(m, KMEM_STABLE_NODE, sizeof(stable_node), 0, OBJECTS_BYTES) or \
            cache_init(m, KMEM_RMAP_ITEM, sizeof(rmap_item), 0, OBJECTS_BYTES):
        return -ENOMEM
    return cache_init(m, KMEM_HEAP, 1 << HEAP_MIN_LG2, 0, HEAP_BYTES)


cdef uint64_t arena_objects_bytes() noexcept nogil:
    """Virtual room that kmem_init asks for."""
    return 7 * OBJECTS_BYTES + 2 * HEAP_BYTES


cdef bint fail_now(machine* m, int kind, uint32_t gfp) noexcept nogil:
    cdef fail_rule* r = &m.fail
    if not r.kind_mask >> kind & 1 or (gfp & r.gfp_mask) != r.gfp_mask:
        return False
    if r.nth > 1:
        r.nth -= 1
        return False
    r.count -= 1
    r.failed += 1
    if r.count == 0:
        r.nth = 0
    return True


cdef bint should_fail(machine* m, int kind, uint32_t gfp) noexcept nogil:
    return m.fail.nth != 0 and fail_now(m, kind, gfp)


cdef void* alloc_slowly(machine* m, int kind, uint32_t gfp) noexcept nogil:
    cdef kmem_cache* c = &m.kmem[kind]
    if should_fail(m, kind, gfp):
        return NULL
    if c.free_head and m.slab_reuse:
        return reused(c)
    if c.used_bytes + c.object_bytes > c.reserved_bytes:
        return NULL
    c.used_bytes += c.object_bytes
    c.allocated += 1
    return c.base + c.used_bytes - c.object_bytes


cdef void* kmem_cache_zalloc(machine* m, int kind, uint32_t gfp) noexcept nogil:
    cdef void* p = kmem_cache_alloc(m, kind, gfp)
    if p != NULL:
        memset(p, 0, m.kmem[kind].object_bytes)
    return p


cdef void slab_costs(const machine* m, costs_t* c) noexcept nogil:
    cdef const kmem_cache* k
    cdef uint64_t made, gone
    cdef int i
    for i in range(KMEM_SWAP_COUNT):
        if i != KMEM_HEAP:
            k = &m.kmem[i]
            made = k.allocated - k.by_bench[0]
            gone = k.freed - k.by_bench[1]
            c.objects_allocated += made
            c.objects_freed += gone
            c.bytes_allocated += made * k.object_bytes
            c.bytes_freed += gone * k.object_bytes


cdef int size_lg2(uint64_t size) noexcept nogil:
    cdef int lg2 = HEAP_MIN_LG2
    while <uint64_t>1 << lg2 < size:
        lg2 += 1
    return lg2


cdef void* kmalloc(machine* m, uint64_t size, uint32_t gfp) noexcept nogil:
    cdef kmem_cache* c = &m.kmem[KMEM_HEAP]
    cdef int lg2 = size_lg2(size)
    cdef uint64_t bytes = <uint64_t>1 << lg2
    cdef uint8_t* p
    if should_fail(m, KMEM_HEAP, gfp):
        return NULL
    if m.heap_free[lg2]:
        p = c.base + m.heap_free[lg2] - 1
        m.heap_free[lg2] = (<uint64_t*>p)[0]
        memset(p, 0, bytes)
    else:
        if c.used_bytes + bytes > c.reserved_bytes:
            return NULL
        p = c.base + c.used_bytes
        c.used_bytes += bytes
    c.allocated += 1
    m.hw.cost.objects_allocated += 1
    m.hw.cost.bytes_allocated += bytes
    return p


cdef void kfree(machine* m, void* p, uint64_t size) noexcept nogil:
    cdef kmem_cache* c = &m.kmem[KMEM_HEAP]
    cdef int lg2 = size_lg2(size)
    if p == NULL:
        return
    (<uint64_t*>p)[0] = m.heap_free[lg2]
    m.heap_free[lg2] = <uint64_t>(<uint8_t*>p - c.base) + 1
    c.freed += 1
    m.hw.cost.objects_freed += 1
    m.hw.cost.bytes_freed += <uint64_t>1 << lg2
