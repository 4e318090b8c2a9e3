# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.rmap, where a page is: the address expected, and whether an entry is there.
# Kernel: mm/rmap.c (v3.2), vma_address to page_mapped_in_vma, is_vma_temporary_stack; page_check_address_pmd of mm/huge_memory.c.
from libc.stdint cimport uint64_t
from rmapemu.machine.page cimport pfn_of
from rmapemu.machine.process_view cimport address_arg, mm_arg
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.rmap_link cimport RmapLink
from rmapemu.machine.rmap_ops cimport *

from rmapemu.machine.rmap_link import NOT_ASKED
from rmapemu.machine.sizes import pick

_PMD_FLAGS = ("any", "notsplitting", "splitting")


cdef class RmapWhere(RmapLink):
    """Addresses and entries of a page."""

    cdef object _needs(self, str config):
        if not self.machine.config[config]:
            raise ValueError(f"config: the machine is without {config}, and so without this function")
        return None

    # ------------------------------------------------------------ where is it
    def vma_address(self, page, vma):
        """The address at which the VMA would map the page, or None (-EFAULT)."""
        cdef uint64_t a[5]
        self._run(op_vma_address, page, vma, 0, a)
        return a[4] if a[3] else None

    def page_address_in_vma(self, page, vma):
        """The address of the page in the VMA, or None (-EFAULT): by anon_vma roots or file only, whether mapped or not."""
        cdef uint64_t a[5]
        self._run(op_page_address_in_vma, page, vma, 0, a)
        return a[4] if a[3] else None

    def page_check_address(self, page, mm, address, sync=False):
        """The entry at the address as a Pte, if it maps the page; else None."""
        cdef uint64_t a[5]
        self.machine.usable()
        a[0] = pfn_of(self.machine, page, True)
        a[1] = <uint64_t>mm_arg(self.machine, mm)
        a[2] = address_arg(address)
        a[3] = bool(sync)
        return decode_pte(self.machine.m.hw.fmt, a[4]) if self.machine.run_op(op_check_address, a) else None

    def page_check_address_pmd(self, page, mm, address, str flag="any"):
        """The huge entry at the address as a number, if it maps the page; else None. flag: whether it is being split: ``"any"``,
        ``"notsplitting"``, ``"splitting"`` (VM_BUG_ON if it is not). The page table lock is taken for it, and dropped.
        """
        cdef uint64_t a[5]
        self.machine.usable()
        self._needs("transparent_hugepage")
        a[0] = pfn_of(self.machine, page, True)
        a[1] = <uint64_t>mm_arg(self.machine, mm)
        a[2] = address_arg(address)
        a[3] = _PMD_FLAGS.index(pick(flag, _PMD_FLAGS, "flag"))
        return a[4] if self.machine.run_op(op_check_address_pmd, a) else None

    def page_mapped_in_vma(self, page, vma):
        """Does the VMA map the page?"""
        cdef uint64_t a[5]
        return bool(self._run(op_page_mapped_in_vma, page, vma, 0, a))

    def is_vma_temporary_stack(self, vma):
        """Is it exec's stack before its shift?"""
        cdef uint64_t a[5]
        return bool(self._run(op_temporary_stack, NOT_ASKED, vma, 0, a))

    def page_mapped(self, page):
        """Does any entry map it?"""
        return page.mapcount > 0 if pfn_of(self.machine, page, True) else False
