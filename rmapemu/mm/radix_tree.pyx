# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Trees of items by a 64-bit index: the page cache of a file, and the content tokens of its blocks.
# Kernel: lib/radix-tree.c (radix_tree_insert, _lookup, _delete, _extend, _shrink, _preload).
# Differs: no tags (dirty pages are found by looking at them); an insertion allocates all its nodes first and so fails cleanly.
from libc.errno cimport EEXIST, ENOMEM
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from rmapemu.mm.kmem cimport kmem_cache_free, kmem_cache_zalloc
from rmapemu.mm.types cimport *

cdef enum:
    MAP_SHIFT = 6               # RADIX_TREE_MAP_SHIFT: lg2 of a node's slots
    MAP_SIZE = 64
    MAP_MASK = 63
    MAX_HEIGHT = 11             # 64 bits of index


cdef inline radix_node* node_of(machine* m, uint64_t slot) noexcept nogil:
    return <radix_node*>(m.kmem[KMEM_RADIX_NODE].base + slot - 1)


cdef inline uint64_t slot_of(machine* m, radix_node* n) noexcept nogil:
    return <uint64_t>(<uint8_t*>n - m.kmem[KMEM_RADIX_NODE].base) + 1


cdef inline bint fits(int height, uint64_t index) noexcept nogil:
    """Is the index within a tree of that height?"""
    return height >= MAX_HEIGHT or index >> (MAP_SHIFT * height) == 0


cdef uint64_t root_lookup(machine* m, uint64_t slot, int height, uint64_t index) noexcept nogil:
    if not fits(height, index):
        return 0
    while height > 0 and slot:
        height -= 1
        slot = node_of(m, slot).slot[(index >> (MAP_SHIFT * height)) & MAP_MASK]
    return slot


cdef int nodes_missing(machine* m, uint64_t slot, int height, uint64_t index) noexcept nogil:
    """Nodes that an insertion there has to add."""
    cdef int wanted = height
    cdef int missing = 0
    while not fits(wanted, index):
        wanted += 1
    if slot == 0:
        return wanted
    if wanted > height:
        # the old tree becomes the leftmost part of the new one, beside the path
        return wanted - height + wanted - 1
    while height > 0:
        height -= 1
        if missing == 0:
            slot = node_of(m, slot).slot[(index >> (MAP_SHIFT * height)) & MAP_MASK]
        if slot == 0 and height > 0:
            missing += 1
    return missing


cdef int preload(machine* m, radix_node** spare, int n, uint32_t gfp) noexcept nogil:
    cdef int i
    for i in range(n):
        spare[i] = <radix_node*>kmem_cache_zalloc(m, KMEM_RADIX_NODE, gfp)
        if spare[i] == NULL:
            while i > 0:
                i -= 1
                kmem_cache_free(m, KMEM_RADIX_NODE, spare[i])
            return -ENOMEM
    return 0


cdef int extend(machine* m, uint64_t* slot, uint8_t* height, uint64_t index, radix_node** spare) noexcept nogil:
    """Makes the tree high enough; returns how many spare nodes that took."""
    cdef int used = 0
    while not fits(height[0], index):
        if slot[0]:
            spare[used].slot[0] = slot[0]
            spare[used].count = 1
            slot[0] = slot_of(m, spare[used])
            used += 1
        height[0] += 1
    return used


cdef int root_insert(machine* m, uint64_t* slot, uint8_t* height, uint64_t index, uint64_t item, uint32_t gfp) noexcept nogil:
    cdef radix_node* spare[2 * MAX_HEIGHT]
    cdef radix_node* parent = NULL
    cdef uint64_t* place = slot
    cdef int n = nodes_missing(m, slot[0], height[0], index)
    cdef int used, level
    if root_lookup(m, slot[0], height[0], index):
        return -EEXIST
    if n and preload(m, spare, n, gfp) < 0:
        return -ENOMEM
    used = extend(m, slot, height, index, spare)
    level = height[0]
    while level > 0:
        level -= 1
        if place[0] == 0:
            place[0] = slot_of(m, spare[used])
            used += 1
            if parent != NULL:
                parent.count += 1
        parent = node_of(m, place[0])
        place = &parent.slot[(index >> (MAP_SHIFT * level)) & MAP_MASK]
    place[0] = item
    if parent != NULL:
        parent.count += 1
    return 0


cdef uint64_t root_replace(machine* m, uint64_t* slot, int height, uint64_t index, uint64_t item) noexcept nogil:
    cdef uint64_t old
    if not fits(height, index):
        return 0
    while height > 0 and slot[0]:
        height -= 1
        slot = &node_of(m, slot[0]).slot[(index >> (MAP_SHIFT * height)) & MAP_MASK]
    old = slot[0]
    if old:
        slot[0] = item
    return old


cdef void shrink(machine* m, uint64_t* slot, uint8_t* height) noexcept nogil:
    """A root whose only child is its first one is not needed."""
    cdef radix_node* n
    while height[0] > 0:
        n = node_of(m, slot[0])
        if n.count != 1 or n.slot[0] == 0:
            return
        slot[0] = n.slot[0]
        height[0] -= 1
        kmem_cache_free(m, KMEM_RADIX_NODE, n)


cdef uint64_t root_delete(machine* m, uint64_t* slot, uint8_t* height, uint64_t index) noexcept nogil:
    cdef uint64_t* path[MAX_HEIGHT + 1]
    cdef int level = height[0]
    cdef int depth = 0
    cdef uint64_t old
    cdef radix_node* n
    if not fits(level, index):
        return 0
    path[0] = slot
    while level > 0 and path[depth][0]:
        level -= 1
        path[depth + 1] = &node_of(m, path[depth][0]).slot[(index >> (MAP_SHIFT * level)) & MAP_MASK]
        depth += 1
    old = path[depth][0]
    if old == 0:
        return 0
    path[depth][0] = 0
    while depth > 0:
        depth -= 1
        n = node_of(m, path[depth][0])
        n.count -= 1
        if n.count:
            shrink(m, slot, height)
            return old
        path[depth][0] = 0
        kmem_cache_free(m, KMEM_RADIX_NODE, n)
    height[0] = 0
    return old


cdef inline uint64_t first_of(uint64_t index, int shift, uint64_t k) noexcept nogil:
    """The least index under slot k of the node that index lies in, `shift` being the node's."""
    cdef uint64_t above = 0 if shift + MAP_SHIFT >= 64 else index >> (shift + MAP_SHIFT) << (shift + MAP_SHIFT)
    return above + (k << shift)


cdef uint64_t root_next(machine* m, uint64_t slot, int height, uint64_t* index) noexcept nogil:
    cdef uint64_t i = index[0]
    cdef uint64_t at = slot
    cdef uint64_t k
    cdef int level = height
    cdef int shift
    cdef radix_node* n
    if not fits(height, i):
        return 0
    while level > 0 and at:
        level -= 1
        shift = MAP_SHIFT * level
        n = node_of(m, at)
        k = (i >> shift) & MAP_MASK
        if n.slot[k] == 0:
            while k < MAP_SIZE and n.slot[k] == 0:
                k += 1
            if k < MAP_SIZE:
                i = first_of(i, shift, k)
        if k < MAP_SIZE:
            at = n.slot[k]
            continue
        # nothing more in this node: from the top again, at the first index behind it
        i = first_of(i, shift, MAP_SIZE)
        if i <= index[0] or not fits(height, i):
            return 0
        at = slot
        level = height
    index[0] = i
    return at
