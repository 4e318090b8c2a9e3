# SPDX-License-Identifier: GPL-2.0-only
# The slab: typed arenas inside the machine's one reservation, each allocation countable and failable.
# Kernel: mm/slab.c (kmem_cache_alloc, kmem_cache_free). Slab memory is not taken from the machine's frames (fidelity.md).
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.hw.costs cimport costs_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.types cimport kmem_cache, machine

cdef void* kmem_cache_zalloc(machine* m, int kind, uint32_t gfp) noexcept nogil      # zeroed; NULL as below
# Where no freed object may be used again, or an allocation is wanted to fail.
cdef void* alloc_slowly(machine* m, int kind, uint32_t gfp) noexcept nogil

cdef inline uint64_t kmem_live(const kmem_cache* c) noexcept nogil:
    """Objects in use."""
    return c.allocated - c.freed

cdef inline void* reused(kmem_cache* c) noexcept nogil:
    """The object freed last."""
    cdef uint8_t* p = c.base + c.free_head - 1
    c.free_head = (<uint64_t*>(p + c.link_bytes))[0]
    if c.link_bytes == 0:
        (<uint64_t*>p)[0] = 0
    c.allocated += 1
    return p

cdef inline void* kmem_cache_alloc(machine* m, int kind, uint32_t gfp) noexcept nogil:
    """An object of the kind, or NULL (failure injected, or the arena is full). Contents: what the last user left (fresh: zero)."""
    cdef kmem_cache* c = &m.kmem[kind]
    if rm_unlikely(m.fail.nth != 0 or c.free_head == 0 or not m.slab_reuse):
        return alloc_slowly(m, kind, gfp)
    return reused(c)

cdef inline void kmem_cache_free(machine* m, int kind, void* p) noexcept nogil:
    cdef kmem_cache* c = &m.kmem[kind]
    (<uint64_t*>(<uint8_t*>p + c.link_bytes))[0] = c.free_head
    c.free_head = <uint64_t>(<uint8_t*>p - c.base) + 1
    c.freed += 1

# Zeroed host memory of any size (rounded up to a power of two), for arrays; NULL as above.
cdef void* kmalloc(machine* m, uint64_t size, uint32_t gfp) noexcept nogil
cdef void kfree(machine* m, void* p, uint64_t size) noexcept nogil
# Does fail_alloc want this allocation to fail? Called once by every allocation site, page_alloc's included.
cdef bint should_fail(machine* m, int kind, uint32_t gfp) noexcept nogil
# Reserves (lazily backed, zeroed) bytes of the machine's region, page aligned; NULL when the region is full. Only
# while a machine is set up.
cdef void* arena_reserve(machine* m, uint64_t size) noexcept nogil
cdef void slab_costs(const machine* m, costs_t* c) noexcept nogil       # adds to the heap's objects and bytes those of every other kind
cdef uint64_t arena_objects_bytes() noexcept nogil  # virtual room that kmem_init asks for
cdef int kmem_init(machine* m) noexcept nogil           # 0, -ENOMEM
cdef int arena_init(machine* m, uint64_t size) noexcept nogil
cdef void arena_exit(machine* m) noexcept nogil
