# SPDX-License-Identifier: GPL-2.0-only
# The reverse map's objects in the slab.
from rmapemu.mm.types cimport kmem_cache, machine

cdef object free_objects(kmem_cache* k)     # set of int: numbers in the arena of those that were freed
cdef object anon_vmas_of(machine* m)        # serial -> root, refcount, lock and the serials of its VMAs in order
cdef object stable_nodes_of(machine* m)     # serial -> frame and rmap_items, newest first
