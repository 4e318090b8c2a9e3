# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for KSM pages: what ksmd's trees would hold. Kernel: mm/ksm.c (v3.2), alloc_stable_node, stable_tree_append.
# A stable node stands for the content of one page; an rmap_item is a place where a page was replaced by it.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.machine.lab_pte cimport LabPte
from rmapemu.machine.objects cimport free_objects
from rmapemu.machine.page cimport Page
from rmapemu.machine.process_view cimport address_arg, mm_arg
from rmapemu.mm.anon_vma cimport get_anon_vma, put_anon_vma
from rmapemu.mm.kmem cimport kmem_cache_free, kmem_cache_zalloc
from rmapemu.mm.types cimport *

from rmapemu.errors import GoneError
from rmapemu.machine.sizes import parse_int


cdef int64_t op_alloc(machine* m, const uint64_t* a) noexcept nogil:
    """a[0]: the kind. The object's offset in its arena."""
    cdef void* p = kmem_cache_zalloc(m, <int>a[0], GFP_KERNEL)
    return -ENOMEM if p == NULL else <int64_t>(<uint64_t>p - <uint64_t>m.kmem[a[0]].base)


cdef int64_t op_free(machine* m, const uint64_t* a) noexcept nogil:
    """a[0]: the kind, a[1]: the object, a[2]: an anon_vma to drop a reference of, or 0."""
    if a[2]:
        put_anon_vma(m, <anon_vma*>a[2])
    kmem_cache_free(m, <int>a[0], <void*>a[1])
    return 0


cdef uint64_t find(kmem_cache* k, uint32_t serial, uint64_t serial_at) noexcept nogil:
    """Offset of the object with that serial number, which stands at serial_at; 0: there is none."""
    cdef uint64_t at = k.object_bytes
    while at < k.used_bytes:
        if (<uint32_t*>(k.base + at + serial_at))[0] == serial:
            return at
        at += k.object_bytes
    return 0


cdef uint64_t unhook(kmem_cache* nodes, rmap_item* item) noexcept nogil:
    """Takes an item off the list of whatever node has it: its anon_vma. A freed node has an empty list, or its arena's link."""
    cdef uint64_t at = nodes.object_bytes
    cdef rmap_item** p
    while at < nodes.used_bytes:
        p = &(<stable_node*>(nodes.base + at)).hlist
        while p[0] != NULL and p[0] != item and (<stable_node*>(nodes.base + at)).kpfn:
            p = &p[0].next
        if p[0] == item:
            p[0] = item.next
            break
        at += nodes.object_bytes
    return <uint64_t>item.anon_vma


cdef class LabKsm(LabPte):
    """KSM pages: a stable node of a page, and its rmap_items."""

    cdef stable_node* _node(self, object serial) except NULL:
        cdef kmem_cache* k = &self.machine.m.kmem[KMEM_STABLE_NODE]
        cdef stable_node* first = <stable_node*>k.base
        cdef uint64_t at = find(k, parse_int(serial, "node", 1, 0xffffffff), <uint64_t>(<uint8_t*>&first.serial - k.base))
        if at == 0 or at // k.object_bytes in free_objects(k):
            raise GoneError(f"stable node {serial} is gone, or never was")
        return <stable_node*>(k.base + at)

    cdef rmap_item* _item(self, object serial) except NULL:
        cdef kmem_cache* k = &self.machine.m.kmem[KMEM_RMAP_ITEM]
        cdef rmap_item* first = <rmap_item*>k.base
        cdef uint64_t at = find(k, parse_int(serial, "item", 1, 0xffffffff), <uint64_t>(<uint8_t*>&first.serial - k.base))
        if at == 0 or at // k.object_bytes in free_objects(k):
            raise GoneError(f"rmap_item {serial} is gone, or never was")
        return <rmap_item*>(k.base + at)

    def stable_node(self, page):
        """A new stable node of the page, which becomes a KSM page by it (page.mapping): its serial number."""
        cdef uint64_t a[1]
        cdef uint64_t at
        cdef kmem_cache* k
        cdef stable_node* made
        p = self._page(page)
        if not self.machine.m.config.ksm:
            raise ValueError("config: the machine is without ksm")
        k = &self.machine.m.kmem[KMEM_STABLE_NODE]
        a[0] = KMEM_STABLE_NODE
        at = self.do(op_alloc, a)
        made = <stable_node*>(k.base + at)
        made.kpfn = (<Page>page).pfn
        made.serial = <uint32_t>k.allocated
        p.mapping = <uint32_t>(at // sizeof(stable_node) << PAGE_MAPPING_SHIFT) | PAGE_MAPPING_FLAGS
        return made.serial

    def stable_node_remove(self, node):
        """Frees a stable node without rmap_items. Its page stays a KSM page, without a node."""
        cdef uint64_t a[3]
        cdef stable_node* gone
        cdef page* p
        self.open()
        gone = self._node(node)
        if gone.hlist != NULL:
            raise ValueError(f"stable node {node} has rmap_items: remove them first")
        p = &self.machine.m.pages[gone.kpfn]
        if p.mapping == <uint32_t>((gone - <stable_node*>self.machine.m.kmem[KMEM_STABLE_NODE].base) << PAGE_MAPPING_SHIFT | 3):
            p.mapping = PAGE_MAPPING_FLAGS
        gone.kpfn = 0
        a[0] = KMEM_STABLE_NODE
        a[1] = <uint64_t>gone
        a[2] = 0
        self.do(op_free, a)

    def rmap_item(self, node, mm, address, serial):
        """A new rmap_item, first in the node's list: the page was merged at that address of the mm, in a VMA of the anon_vma of that
        serial number, to which the item takes a reference. The item's own serial number.
        """
        cdef uint64_t a[1]
        cdef uint64_t va = address_arg(address)
        cdef mm_struct* to
        cdef stable_node* of
        cdef anon_vma* av
        cdef rmap_item* made
        self.open()
        of = self._node(node)
        av = self.av(serial)
        to = mm_arg(self.machine, mm)
        a[0] = KMEM_RMAP_ITEM
        made = <rmap_item*>(self.machine.m.kmem[KMEM_RMAP_ITEM].base + <uint64_t>self.do(op_alloc, a))
        made.serial = <uint32_t>self.machine.m.kmem[KMEM_RMAP_ITEM].allocated
        made.mm = to
        made.address = va & ~<uint64_t>(self.machine.page_size - 1)
        made.anon_vma = av
        get_anon_vma(av)
        made.next = of.hlist
        of.hlist = made
        return made.serial

    def rmap_item_remove(self, item):
        """Takes an rmap_item off its node's list, and frees it with its reference."""
        cdef uint64_t a[3]
        self.open()
        a[0] = KMEM_RMAP_ITEM
        a[1] = <uint64_t>self._item(item)
        a[2] = unhook(&self.machine.m.kmem[KMEM_STABLE_NODE], <rmap_item*>a[1])
        self.do(op_free, a)
