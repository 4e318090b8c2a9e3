# SPDX-License-Identifier: GPL-2.0-only
# Evictable or not; off the lists and back. Kernel: mm/vmscan.c.
from libc.stdint cimport uint32_t
from rmapemu.mm.types cimport *

cdef int isolate_lru_page(machine* m, uint32_t pfn) noexcept nogil                   # 0, -EBUSY
cdef void putback_lru_page(machine* m, uint32_t pfn) noexcept nogil
cdef bint page_evictable(machine* m, uint32_t pfn, vm_area_struct* vma) noexcept nogil
cdef void check_move_unevictable_page(machine* m, uint32_t pfn) noexcept nogil       # off the unevictable list where nothing holds it

cdef inline bint evictable(machine* m, uint32_t pfn) noexcept nogil:
    """page_evictable(page, NULL): neither mlocked nor of a file that is locked in memory."""
    cdef page* p = &m.pages[pfn]
    if p.flags & PG_mlocked:
        return False
    if p.mapping & PAGE_MAPPING_ANON or p.mapping == 0 or p.flags & PG_swapcache:
        return True
    return not page_file_mapping(m, p).unevictable
