# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# What the slab holds of the reverse map's objects, by serial number, for Machine.dump() and the workbench. Kernel: none.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport *


cdef object free_objects(kmem_cache* k):
    cdef uint64_t at = k.free_head
    numbers = set()
    while at and (at - 1) // k.object_bytes not in numbers:     # freed twice, by a lie of the bench, it is a ring
        numbers.add((at - 1) // k.object_bytes)
        at = (<uint64_t*>(k.base + at - 1 + k.link_bytes))[0]
    return numbers


cdef object anon_vmas_of(machine* m):
    cdef kmem_cache* k = &m.kmem[KMEM_ANON_VMA]
    cdef anon_vma* av = <anon_vma*>k.base
    cdef anon_vma_chain* avc
    cdef uint64_t i
    found, free_ones = {}, free_objects(k)
    for i in range(1, k.used_bytes // sizeof(anon_vma)):
        if i in free_ones:
            continue
        vmas = []
        avc = av[i].head
        while avc != NULL:
            vmas.append(avc.vma.serial)
            avc = avc.next
        found[av[i].serial] = {"root": av[i].root.serial, "refcount": av[i].refcount, "lock": av[i].lock, "vmas": vmas}
    return found


cdef object stable_nodes_of(machine* m):
    cdef stable_node* nodes = <stable_node*>m.kmem[KMEM_STABLE_NODE].base
    cdef rmap_item* item
    cdef uint64_t i
    found = {}
    for i in range(1, m.kmem[KMEM_STABLE_NODE].used_bytes // sizeof(stable_node)):
        items = []
        item = nodes[i].hlist if nodes[i].kpfn else NULL
        while item != NULL:
            items.append([item.serial, item.mm.pid, item.address, item.anon_vma.serial])
            item = item.next
        if nodes[i].kpfn:                   # 0: freed
            found[nodes[i].serial] = {"kpfn": nodes[i].kpfn, "items": items}
    return found
