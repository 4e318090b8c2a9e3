# SPDX-License-Identifier: GPL-2.0-only
# The page cache's radix tree: 64-way nodes from the machine's arena. Kernel: lib/radix-tree.c.
# An item is 0 (nothing), pfn << 1, or an exceptional entry: swap entry (32 bits, entry_to_private) << 1 | 1.
# A root is a slot and a height: height 0 holds at most one item, at index 0; else the slot is a node's offset in its arena, plus 1.
from libc.stdint cimport uint64_t, uint32_t, uint8_t
from rmapemu.mm.types cimport machine, address_space

# Over any root (the tree of disk tokens, whose items are any number but 0, uses these).
cdef uint64_t root_lookup(machine* m, uint64_t slot, int height, uint64_t index) noexcept nogil
# 0, -ENOMEM with nothing changed, -EEXIST
cdef int root_insert(machine* m, uint64_t* slot, uint8_t* height, uint64_t index, uint64_t item, uint32_t gfp) noexcept nogil
# old item; 0: none there, nothing changed
cdef uint64_t root_replace(machine* m, uint64_t* slot, int height, uint64_t index, uint64_t item) noexcept nogil
cdef uint64_t root_delete(machine* m, uint64_t* slot, uint8_t* height, uint64_t index) noexcept nogil                          # old item
# first item at or after *index, which is set to where it is; 0: none
cdef uint64_t root_next(machine* m, uint64_t slot, int height, uint64_t* index) noexcept nogil

cdef inline uint64_t radix_tree_lookup(machine* m, address_space* a, uint64_t index) noexcept nogil:
    return root_lookup(m, a.page_tree, a.page_tree_height, index)

cdef inline int radix_tree_insert(machine* m, address_space* a, uint64_t index, uint64_t item, uint32_t gfp) noexcept nogil:
    """0, -ENOMEM with nothing changed, -EEXIST."""
    return root_insert(m, &a.page_tree, &a.page_tree_height, index, item, gfp)

cdef inline uint64_t radix_tree_replace(machine* m, address_space* a, uint64_t index, uint64_t item) noexcept nogil:
    """The old item; the slot must hold one."""
    return root_replace(m, &a.page_tree, a.page_tree_height, index, item)

cdef inline uint64_t radix_tree_delete(machine* m, address_space* a, uint64_t index) noexcept nogil:
    """The old item."""
    return root_delete(m, &a.page_tree, &a.page_tree_height, index)

cdef inline uint64_t radix_tree_next(machine* m, address_space* a, uint64_t* index) noexcept nogil:
    """First item at or after *index, which is set to where it is; 0: none."""
    return root_next(m, a.page_tree, a.page_tree_height, index)

cdef inline uint64_t page_item(uint32_t pfn) noexcept nogil:
    return <uint64_t>pfn << 1

cdef inline bint radix_tree_exceptional_entry(uint64_t item) noexcept nogil:
    return item & 1
