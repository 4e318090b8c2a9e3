# SPDX-License-Identifier: GPL-2.0-only
# Every entry and table of an address space, found from its root as the hardware finds them, whatever the VMAs say.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.costs cimport costs_t
from rmapemu.mm.compound cimport compound_order
from rmapemu.mm.rmap cimport VMA_EFAULT, vma_address
from rmapemu.mm.types cimport VM_HUGETLB, machine, mm_struct, vm_area_struct

# Told of every leaf entry that is not none (level 0) and every huge one (above). Not 0: stop with it.
ctypedef int (*entry_visitor)(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t entry) noexcept nogil
# Told of every table, before its entries.
ctypedef int (*table_visitor)(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t pa) noexcept nogil

cdef enum:
    BAD_TABLE_ENTRY = 0x7fff    # what walk_tables returns for an entry that is neither empty, nor a leaf, nor points at a frame of tables

# visit or table may be NULL.
cdef int walk_tables(machine* m, mm_struct* mm, entry_visitor visit, table_visitor table, void* ctx) noexcept nogil

cdef inline uint64_t peek_address(machine* m, uint32_t pfn, const vm_area_struct* v) noexcept nogil:
    """vma_address for people: a small page has none in a hugetlb VMA, where the kernel would follow NULL."""
    if v.vm_flags & VM_HUGETLB and m.config.hugetlb_page and compound_order(m, pfn) == 0:
        return <uint64_t>VMA_EFAULT
    return vma_address(m, pfn, v)

cdef inline uint64_t* peek_pte(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    """find_pte for people: it costs nothing."""
    cdef costs_t cost = m.hw.cost
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
    m.hw.cost = cost
    return pte
