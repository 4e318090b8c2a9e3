# SPDX-License-Identifier: GPL-2.0-only
# The page cache's radix tree: 64-way nodes from the machine's arena. Kernel: lib/radix-tree.c.
# A slot is 0 (nothing), pfn << 1, or an exceptional entry: swap entry (32 bits, entry_to_private) << 1 | 1.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, address_space

cdef uint64_t radix_tree_lookup(machine* m, address_space* a, uint64_t index) noexcept nogil
cdef int radix_tree_insert(machine* m, address_space* a, uint64_t index, uint64_t item, uint32_t gfp) noexcept nogil    # 0, -ENOMEM, -EEXIST
cdef uint64_t radix_tree_replace(machine* m, address_space* a, uint64_t index, uint64_t item) noexcept nogil           # old item; the slot must exist
cdef uint64_t radix_tree_delete(machine* m, address_space* a, uint64_t index) noexcept nogil                           # old item
# First item at or after *index: sets *index to where it is; 0: none.
cdef uint64_t radix_tree_next(machine* m, address_space* a, uint64_t* index) noexcept nogil
