# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Page: a view of one struct page. Kernel: include/linux/mm_types.h.
# A Page is its frame's descriptor: it is valid as long as its machine, also while the frame is free or used for another page.
from libc.stdint cimport uint64_t, int64_t, uint32_t
from rmapemu.hw.pte cimport pte_present, pte_pfn
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.file cimport file_handle
from rmapemu.machine.process_view cimport process_handle
from rmapemu.machine.tables cimport peek_address, peek_pte
from rmapemu.machine.vma cimport vma_handle
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.rmap cimport VMA_EFAULT
from rmapemu.mm.types cimport *

from typing import NamedTuple

from rmapemu.machine.enums import PageFlag, page_flag_names
from rmapemu.machine.names import LRU


class Mapper(NamedTuple):
    """One place where a page is mapped."""

    process: object
    vma: object
    address: int


cdef Page page_handle(Machine machine, uint32_t pfn):
    cdef Page self = Page.__new__(Page)
    self.machine = machine
    self.pfn = pfn
    return self


cdef uint32_t pfn_of(Machine machine, object handle, bint live) except 0:
    cdef Page self
    if not isinstance(handle, Page):
        raise TypeError(f"expected a Page, not {type(handle).__name__}")
    self = handle
    if self.machine is not machine:
        raise ValueError(f"{handle!r} is a page of another machine")
    if live and self.p().count == 0 and not self.p().flags & PG_tail:
        raise ValueError(f"{handle!r} is free")
    return self.pfn


cdef bint maps(machine* m, vm_area_struct* vma, uint64_t va, uint32_t pfn) noexcept nogil:
    cdef uint64_t* pte = peek_pte(m, vma.vm_mm, va)
    return pte != NULL and pte_present(m.hw.fmt, pte[0]) and pte_pfn(m.hw.fmt, pte[0]) == pfn


cdef class Page:
    """One frame: ``pfn``, and its struct page as attributes. Equal when frame and machine are the same."""

    def __init__(self, Machine machine not None, uint32_t pfn):
        self.machine = machine
        self.pfn = pfn
        machine.readable()
        if not 0 < pfn < machine.m.nr_frames:
            raise ValueError(f"pfn={pfn}: the machine has frames 1 to {machine.m.nr_frames - 1}")

    cdef page* p(self) except NULL:
        self.machine.readable()
        return &self.machine.m.pages[self.pfn]

    @property
    def mapcount(self):
        """Page-table entries that map it (page_mapcount)."""
        return self.p().mapcount

    @property
    def count(self):
        """References (_count)."""
        return self.p().count

    @property
    def flags(self):
        """Names of the flags that are set, lowest bit first."""
        return page_flag_names(self.p().flags)

    @property
    def flag_bits(self):
        """The flags as a PageFlag."""
        return PageFlag(self.p().flags)

    @property
    def index(self):
        """Offset in its mapping, in pages."""
        return self.p().index

    @property
    def private(self):
        """page_private: of a page in the swap cache its slot ``(type, offset)``, else a number."""
        cdef uint32_t private
        flags = self.p().flags
        private = self.machine.m.pages[self.pfn].private
        if flags & PG_swapcache:
            return private >> 27, private & ((1 << 27) - 1)
        return private

    @property
    def token(self):
        """The content token."""
        self.p()
        return self.machine.m.token[self.pfn]

    @property
    def mapping(self):
        """The File whose page cache has it, or None."""
        cdef page* p = self.p()
        cdef address_space* a = page_file_mapping(self.machine.m, p)
        return None if a == NULL else file_handle(self.machine, a)

    @property
    def anon_vma(self):
        """Serial number of its anon_vma, or None."""
        cdef page* p = self.p()
        cdef anon_vma* av = page_anon_vma(self.machine.m, p)
        return None if av == NULL else av.serial

    @property
    def lru(self):
        """Name of the list that it is on, or None."""
        cdef page* p = self.p()
        if not p.flags & PG_lru:
            return None
        if p.flags & PG_unevictable:
            return LRU[LRU_UNEVICTABLE]
        return LRU[(0 if p.flags & PG_swapbacked else LRU_FILE) + (LRU_ACTIVE if p.flags & PG_active else 0)]

    def mappers(self):
        """Every place where it is mapped, as (process, vma, address), in the order in which the reverse map finds them."""
        cdef page* p = self.p()
        cdef machine* m = self.machine.m
        cdef anon_vma* av = page_anon_vma(m, p)
        cdef address_space* a = page_file_mapping(m, p)
        if av != NULL:
            return self._anon(av)
        return [] if a == NULL else self._file(a)

    cdef list _anon(self, anon_vma* av):
        cdef machine* m = self.machine.m
        cdef anon_vma_chain* avc = av.head
        cdef uint64_t va
        found = []
        while avc != NULL:
            va = peek_address(m, self.pfn, avc.vma)
            if va != <uint64_t><int64_t>VMA_EFAULT and maps(m, avc.vma, va, self.pfn):
                found.append(self._mapper(avc.vma, va))
            avc = avc.next
        return found

    cdef list _file(self, address_space* a):
        cdef machine* m = self.machine.m
        cdef uint64_t index = m.pages[self.pfn].index, va
        cdef vm_area_struct* v = vma_prio_tree_first(a, index, index)
        found = []
        while v != NULL:
            va = peek_address(m, self.pfn, v)
            if va != <uint64_t><int64_t>VMA_EFAULT and maps(m, v, va, self.pfn):
                found.append(self._mapper(v, va))
            v = vma_prio_tree_next(a, v, index, index)
        v = a.i_mmap_nonlinear
        while v != NULL:
            for va in range(v.vm_start, v.vm_end, <uint64_t>1 << m.page_shift):
                if maps(m, v, va, self.pfn):
                    found.append(self._mapper(v, va))
            v = v.nl_next
        return found

    cdef object _mapper(self, vm_area_struct* v, uint64_t va):
        return Mapper(process_handle(self.machine, v.vm_mm.pid), vma_handle(self.machine, v), va)

    def __eq__(self, other):
        return isinstance(other, Page) and (<Page>other).machine is self.machine and (<Page>other).pfn == self.pfn

    def __hash__(self):
        return hash((id(self.machine), self.pfn))

    def __repr__(self):
        if self.machine.m == NULL:
            return f"<Page {self.pfn} of a closed machine>"
        p = self.p()
        return f"<Page {self.pfn}: mapcount {p.mapcount}, count {p.count}, {'|'.join(self.flags) or 'no flags'}>"
