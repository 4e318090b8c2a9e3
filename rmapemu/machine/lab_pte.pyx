# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for entries: written raw, with their table where there is none; the TLB forgets the address, uncounted.
# Kernel: include/asm/pgtable.h. Where an arch keeps young and dirty in the storage key, young= and dirty= set the frame's key.
from libc.errno cimport EFAULT, EINVAL, ENOMEM
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from rmapemu.hw.costs cimport costs_t
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.ops cimport addr_space
from rmapemu.hw.pte cimport *
from rmapemu.machine.lab_page cimport LabPage
from rmapemu.machine.base cimport trapped, TRAPPED
from rmapemu.machine.page cimport Page, pfn_of
from rmapemu.machine.process_view cimport address_arg, mm_arg
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.tables cimport peek_pte
from rmapemu.machine.vma cimport vma_at
from rmapemu.mm.types cimport *

from rmapemu.machine.sizes import pair, parse_int, pick


cdef int64_t op_write(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* mm = <mm_struct*>a[0]
    cdef uint64_t* pte
    if a[1] >= mm.hw.asce_limit and mm.hw.asce_limit and m.hw.ops.grow_mm(&m.hw, &mm.hw, a[1] + 1):
        return -ENOMEM
    pte = m.hw.ops.make_pte(&m.hw, &mm.hw, a[1])
    if pte == NULL:
        return -ENOMEM
    pte[0] = a[2]
    m.hw.ops.flush_tlb_page(&m.hw, &mm.hw, a[1])
    return 0


cdef int64_t op_write_pmd(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* mm = <mm_struct*>a[0]
    cdef uint64_t* pmd = m.hw.ops.make_pmd(&m.hw, &mm.hw, a[1])
    if pmd == NULL:
        return -ENOMEM
    if pt_matches(&m.hw.fmt.level[1].table, pmd[0]) and not m.hw.ops.pmd_huge(&m.hw, pmd[0]):
        return -EINVAL
    pmd[0] = a[2]
    m.hw.ops.flush_tlb_mm(&m.hw, &mm.hw)
    return 0


cdef int no_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    return -EFAULT


cdef int64_t op_touch(machine* m, const uint64_t* a) noexcept nogil:
    cdef int err = 0
    return m.hw.ops.access(&m.hw, &(<mm_struct*>a[0]).hw, &a[1], NULL, <int>a[2], 1, no_fault, m, &err)


cdef class LabPte(LabPage):
    """set_pte, get_pte, set_pmd, touch, storage_key."""

    cdef int64_t _write(self, mm_struct* mm, uint64_t va, uint64_t e) except -1:
        cdef uint64_t a[3]
        if va & (self.machine.page_size - 1) or va >= <uint64_t>1 << self.machine.m.hw.fmt.user_bits:
            raise ValueError(f"va={va:#x}: expected the address of a page below 2**{self.machine.m.hw.fmt.user_bits}")
        a[0] = <uint64_t>mm
        a[1] = va
        a[2] = e
        return self.do(op_write, a)

    cdef uint64_t _prot(self, mm_struct* mm, uint64_t va) noexcept:
        """Entry bits for the address: of its VMA, or readable and writable where there is none."""
        cdef vm_area_struct* v = vma_at(mm, va)
        return v.vm_page_prot if v != NULL else self.machine.m.hw.fmt.prot[VM_READ | VM_WRITE | VM_SHARED]

    def set_pte(self, mm, address, page=None, *, write=False, young=False, dirty=False, protnone=False, special=False, swap=None,
                migration=None, hwpoison=None, file=None, raw=None):
        """Writes the entry at the address: of a Page with its bits, or ``swap=(type, offset)``, ``migration=page`` (with ``write``),
        ``hwpoison=page``, ``file=pgoff``, ``raw=bits``, or none of it: empty. Returns the entry as a Pte.
        """
        cdef const pt_format* f
        cdef mm_struct* to
        cdef uint64_t va = address_arg(address), e
        self.open()
        given = [name for name, value in (("page", page), ("swap", swap), ("migration", migration), ("hwpoison", hwpoison), ("file", file),
                                          ("raw", raw)) if value is not None]
        if len(given) > 1:
            raise ValueError(f"set_pte: {' and '.join(given)} cannot both be")
        to = mm_arg(self.machine, mm)
        f = self.machine.m.hw.fmt
        if page is not None:
            e = self._present(<uint64_t>to, va, pfn_of(self.machine, page, True), write, young, dirty, protnone, special)
        elif swap is not None:
            t, o = pair(swap, "swap")
            t, o = self._slot(t, o)
            e = swp_entry_to_pte(f, swp_entry(t, o))
        elif migration is not None:
            e = swp_entry_to_pte(f, swp_entry(SWP_MIGRATION_WRITE if write else SWP_MIGRATION_READ, pfn_of(self.machine, migration, True)))
        elif hwpoison is not None:
            e = swp_entry_to_pte(f, swp_entry(SWP_HWPOISON, pfn_of(self.machine, hwpoison, True)))
        elif file is not None:
            e = pgoff_to_pte(f, parse_int(file, "file", 0))
        else:
            e = f.clear_value if raw is None else parse_int(raw, "raw", 0)
        self._write(to, va, e)
        return decode_pte(f, e)

    def _present(self, mm_number, uint64_t va, uint32_t pfn, write, young, dirty, protnone, special):
        cdef mm_struct* mm = <mm_struct*><uint64_t>mm_number
        cdef const pt_format* f = self.machine.m.hw.fmt
        cdef uint64_t e = mk_pte(f, pfn, f.prot[0] if protnone else self._prot(mm, va))
        if not protnone:
            e = pte_mkwrite(f, e) if write else pte_wrprotect(f, e)
        e = pte_mkyoung(f, e) if young else pte_mkold(f, e)
        e = pte_mkdirty(f, e) if dirty else pte_mkclean(f, e)
        if special:
            e = pte_mkspecial(f, e)
        if self.machine.m.hw.skey != NULL:
            self.machine.m.hw.skey[pfn] |= (f.key_referenced if young else 0) | (f.key_changed if dirty else 0)
        return e

    def get_pte(self, mm, address):
        """The entry at the address as a Pte; None where there is no table."""
        cdef mm_struct* to
        cdef uint64_t* pte
        self.open()
        to = mm_arg(self.machine, mm)
        pte = peek_pte(self.machine.m, to, address_arg(address))
        return None if pte == NULL else decode_pte(self.machine.m.hw.fmt, pte[0])

    def set_pmd(self, mm, address, page=None, *, write=False, young=False, dirty=False, splitting=False, migration=None):
        """Writes the entry above the leaf tables: a huge one of the Page, with ``splitting`` one that is being split, a hugetlb page's
        ``migration=page`` entry (with ``write``), or empty. Not where a leaf table hangs.
        """
        cdef uint64_t a[3]
        cdef mm_struct* to
        cdef machine* m
        self.open()
        m = self.machine.m
        to = mm_arg(self.machine, mm)
        if m.hw.fmt.level[1].huge.mask[0] == 0:
            raise ValueError(f"{self.machine.arch} has no huge entries at this level")
        a[0] = <uint64_t>to
        a[1] = address_arg(address) & ~((<uint64_t>1 << m.hw.fmt.level[1].shift) - 1)
        a[2] = m.hw.fmt.level[1].empty
        if page is not None:
            a[2] = m.hw.ops.make_huge(&m.hw, self._present(<uint64_t>to, a[1], pfn_of(self.machine, page, True), write, young, dirty,
                                                           False, splitting))
        elif migration is not None:
            a[2] = swp_entry_to_pte(m.hw.fmt, swp_entry(SWP_MIGRATION_WRITE if write else SWP_MIGRATION_READ,
                                                        pfn_of(self.machine, migration, True)))
        if self.do(op_write_pmd, a) < 0:
            raise ValueError(f"{a[1]:#x}: a leaf table hangs there")

    def get_pmd(self, mm, address):
        """The entry above the leaf tables as a number; None where there is no table of them."""
        cdef uint64_t* pmd
        cdef mm_struct* to
        cdef costs_t cost
        self.open()
        to = mm_arg(self.machine, mm)
        cost = self.machine.m.hw.cost
        pmd = self.machine.m.hw.ops.find_pmd(&self.machine.m.hw, &to.hw, address_arg(address))
        self.machine.m.hw.cost = cost
        return None if pmd == NULL else pmd[0]

    def touch(self, mm, address, str kind="r"):
        """One access by the hardware, counted, that does not fault: did it go through?"""
        cdef uint64_t a[3]
        cdef int64_t r
        self.open()
        a[0] = <uint64_t>mm_arg(self.machine, mm)
        a[1] = address_arg(address)
        a[2] = "rwx".index(pick(kind, ("r", "w", "x"), "kind"))
        r = trapped(self.machine.m, op_touch, a)
        if r == TRAPPED:
            raise self.machine.unwound()
        return r == 1

    def storage_key(self, page, value=None):
        """The storage key byte of a frame (a Page or a pfn); sets it first where a value is given."""
        cdef uint32_t pfn
        self.open()
        pfn = pfn_of(self.machine, page, False) if isinstance(page, Page) else self.machine.page(page).pfn
        if self.machine.m.hw.skey == NULL:
            raise ValueError(f"{self.machine.arch} has no storage keys")
        if value is not None:
            self.machine.m.hw.skey[pfn] = <uint8_t>parse_int(value, "value", 0, 255)
        return self.machine.m.hw.skey[pfn]
