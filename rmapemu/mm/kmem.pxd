# SPDX-License-Identifier: GPL-2.0-only
# The slab: typed arenas inside the machine's one reservation, each allocation countable and failable.
# Kernel: mm/slab.c (kmem_cache_alloc, kmem_cache_free). Slab memory is not taken from the machine's frames (fidelity.md).
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine

# An object of the kind, or NULL (failure injected, or the arena is full). Contents: what the last user left (fresh: zero).
cdef void* kmem_cache_alloc(machine* m, int kind, uint32_t gfp) noexcept nogil
cdef void* kmem_cache_zalloc(machine* m, int kind, uint32_t gfp) noexcept nogil
cdef void kmem_cache_free(machine* m, int kind, void* p) noexcept nogil
# Zeroed host memory of any size (rounded up to a power of two), for arrays; NULL as above.
cdef void* kmalloc(machine* m, uint64_t size, uint32_t gfp) noexcept nogil
cdef void kfree(machine* m, void* p, uint64_t size) noexcept nogil
# Does fail_alloc want this allocation to fail? Called once by every allocation site, page_alloc's included.
cdef bint should_fail(machine* m, int kind, uint32_t gfp) noexcept nogil
# Reserves (lazily backed, zeroed) bytes of the machine's region, page aligned; NULL when the region is full. Only
# while a machine is set up.
cdef void* arena_reserve(machine* m, uint64_t size) noexcept nogil
cdef uint64_t arena_objects_bytes() noexcept nogil  # virtual room that kmem_init asks for
cdef int kmem_init(machine* m) noexcept nogil           # 0, -ENOMEM
cdef int arena_init(machine* m, uint64_t size) noexcept nogil
cdef void arena_exit(machine* m) noexcept nogil
