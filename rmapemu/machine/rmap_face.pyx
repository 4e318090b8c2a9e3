# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.rmap: the functions of mm/rmap.c by their names, with handles for pointers, in the kernel's order of arguments.
# Differs: out-parameters come back as results; a function that returns with a lock taken for its caller drops it before it returns here.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.bench cimport Bench
from rmapemu.machine.base cimport op_t, errno_error
from rmapemu.machine.page cimport pfn_of
from rmapemu.machine.process_view cimport address_arg, mm_arg
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.rmap_ops cimport *
from rmapemu.machine.vma cimport vma_arg
from rmapemu.mm.types cimport *

from rmapemu.errors import OutOfMemory
from rmapemu.machine.enums import Swap, TTU, VmFlag
from rmapemu.machine.sizes import parse_int

cdef enum:
    TTU_KNOWN = 0x7ff

_NOT_ASKED = object()           # for a page or VMA that an operation has no argument for; None from a caller is an error


cdef class Rmap(Bench):
    """The reverse map's functions. Arguments are handles of this machine; a page that is free, or a VMA that is gone, is refused."""

    cdef int64_t _run(self, op_t op, object page, object vma, uint64_t x, uint64_t* a) except? -100000:
        """a[0] the page, a[1] the VMA, a[2] x; what comes back beside the result is in a[3] and a[4]."""
        self.machine.usable()
        a[0] = 0 if page is _NOT_ASKED else pfn_of(self.machine, page, True)
        a[1] = 0 if vma is _NOT_ASKED else <uint64_t>vma_arg(self.machine, vma)
        a[2] = x
        a[3] = 0
        a[4] = 0
        return self.machine.run_op(op, a)

    cdef object _link(self, op_t op, object vma, object other):
        """An operation on one or two VMAs that can lack memory."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        if vma is other or vma == other:
            raise ValueError(f"{vma!r} cannot be linked to the anon_vmas of itself")
        r = self._run(op, _NOT_ASKED, vma, 0 if other is _NOT_ASKED else <uint64_t>vma_arg(self.machine, other), a)
        if r == -ENOMEM:
            raise OutOfMemory(self.machine.lists())
        if r < 0:
            raise errno_error(r, "")
        return None

    # ------------------------------------------------------------ linking
    def anon_vma_prepare(self, vma):
        """Gives the VMA an anon_vma, a neighbour's where that fits. OutOfMemory leaves nothing behind."""
        self._link(op_prepare, vma, _NOT_ASKED)

    def anon_vma_clone(self, dst, src):
        """Links dst to all anon_vmas of src. OutOfMemory leaves dst unlinked."""
        self._link(op_clone, dst, src)

    def anon_vma_fork(self, vma, pvma):
        """Links a child's VMA to its parent's anon_vmas and to one of its own."""
        self._link(op_fork_av, vma, pvma)

    def unlink_anon_vmas(self, vma):
        """Unlinks the VMA from all its anon_vmas; those without VMAs are freed."""
        self._link(op_unlink, vma, _NOT_ASKED)

    def page_get_anon_vma(self, page):
        """Takes a reference to the page's anon_vma if it is mapped: its serial number, or None. put_anon_vma drops it."""
        cdef uint64_t a[5]
        self.open()
        return self._run(op_get_anon_vma, page, _NOT_ASKED, 0, a) or None

    def put_anon_vma(self, serial):
        """Drops a reference; the last one frees it."""
        cdef uint64_t a[5]
        self.machine.usable()
        self._run(op_put_anon_vma, _NOT_ASKED, _NOT_ASKED, <uint64_t>self.av(serial), a)

    def page_lock_anon_vma(self, page):
        """Locks the page's anon_vma if it is mapped, and unlocks it: its serial number, or None."""
        cdef uint64_t a[5]
        return self._run(op_lock_anon_vma, page, _NOT_ASKED, 0, a) or None

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

    def page_mapped_in_vma(self, page, vma):
        """Does the VMA map the page?"""
        cdef uint64_t a[5]
        return bool(self._run(op_page_mapped_in_vma, page, vma, 0, a))

    def is_vma_temporary_stack(self, vma):
        """Is it exec's stack before its shift?"""
        cdef uint64_t a[5]
        return bool(self._run(op_temporary_stack, _NOT_ASKED, vma, 0, a))

    def page_mapped(self, page):
        """Does any entry map it?"""
        return page.mapcount > 0 if pfn_of(self.machine, page, True) else False

    # ------------------------------------------------------------ was it used
    def page_referenced(self, page, is_locked=False, memcg=None):
        """(references found and cleared, VmFlags of the VMAs that used it). memcg: only that group's processes; None: all."""
        cdef uint64_t a[5]
        cdef int64_t r = self._run(op_referenced, page, _NOT_ASKED, (1 if is_locked else 0) | (0 if memcg is None else
                parse_int(memcg, "memcg", 0, 0xffffffff) << 1), a)
        return r, VmFlag(a[3])

    def page_referenced_one(self, page, vma, address, mapcount):
        """One VMA of page_referenced: (references, mapcount left to look for, VmFlags)."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        a[0] = pfn_of(self.machine, page, True)
        a[1] = <uint64_t>vma_arg(self.machine, vma)
        a[2] = address_arg(address)
        a[3] = parse_int(mapcount, "mapcount", 0, 0xffffffff)
        a[4] = 0
        r = self.machine.run_op(op_referenced_one, a)
        return r, a[3], VmFlag(a[4])

    def page_mkclean(self, page):
        """Write-protects and cleans all shared mappings of a file page: how many were dirty or writable."""
        cdef uint64_t a[5]
        return self._run(op_mkclean, page, _NOT_ASKED, 0, a)

    # ------------------------------------------------------------ adding and removing
    def page_add_anon_rmap(self, page, vma, address):
        """Accounts one more mapping of an anonymous page, setting its anon_vma if it is the first."""
        self._add(op_add_anon, page, vma, address)

    def page_add_new_anon_rmap(self, page, vma, address):
        """Accounts the first mapping of a new anonymous page, and puts it on its LRU list."""
        self._add(op_add_new_anon, page, vma, address)

    def do_page_add_anon_rmap(self, page, vma, address, exclusive):
        """page_add_anon_rmap for a swap-in that may own the page alone (exclusive)."""
        self._add(op_do_add_anon_exclusive if exclusive else op_do_add_anon, page, vma, address)

    def page_move_anon_rmap(self, page, vma, address):
        """Moves an exclusive page to the VMA's own anon_vma."""
        self._add(op_move_anon, page, vma, address)

    def hugepage_add_anon_rmap(self, page, vma, address):
        """page_add_anon_rmap for hugetlb pages."""
        self._add(op_huge_add_anon, page, vma, address)

    def hugepage_add_new_anon_rmap(self, page, vma, address):
        """page_add_new_anon_rmap for hugetlb pages."""
        self._add(op_huge_add_new, page, vma, address)

    cdef object _add(self, op_t op, object page, object vma, object address):
        cdef uint64_t a[5]
        self.open()
        self._run(op, page, vma, address_arg(address), a)
        return None

    def page_add_file_rmap(self, page):
        """Accounts one more mapping of a file page."""
        cdef uint64_t a[5]
        self.open()
        self._run(op_add_file, page, _NOT_ASKED, 0, a)

    def page_dup_rmap(self, page):
        """Accounts one more mapping by fork."""
        cdef uint64_t a[5]
        self.open()
        self._run(op_dup, page, _NOT_ASKED, 0, a)

    def page_remove_rmap(self, page):
        """Accounts one mapping less."""
        cdef uint64_t a[5]
        self.open()
        self._run(op_remove_rmap, page, _NOT_ASKED, 0, a)

    # ------------------------------------------------------------ taking mappings away
    cdef object _unmap(self, op_t op, object page, object flags):
        cdef uint64_t a[5]
        bits = parse_int(flags, "flags", 0, 0xffffffff)
        if bits & ~TTU_KNOWN or bits & 0xff > 2:
            raise ValueError(f"flags={flags!r}: expected an action and flags of TTU")
        return Swap(self._run(op, page, _NOT_ASKED, bits, a))

    def try_to_unmap(self, page, flags=TTU.UNMAP):
        """Removes all mappings of the locked page: a Swap."""
        return self._unmap(op_unmap, page, flags)

    def try_to_unmap_anon(self, page, flags=TTU.UNMAP):
        """try_to_unmap of an anonymous page."""
        return self._unmap(op_unmap_anon, page, flags)

    def try_to_unmap_file(self, page, flags=TTU.UNMAP):
        """try_to_unmap of a file page, nonlinear mappings included."""
        return self._unmap(op_unmap_file, page, flags)

    def try_to_unmap_one(self, page, vma, address, flags=TTU.UNMAP):
        """One VMA of try_to_unmap: a Swap."""
        cdef uint64_t a[5]
        self.machine.usable()
        a[0] = pfn_of(self.machine, page, True)
        a[1] = <uint64_t>vma_arg(self.machine, vma)
        a[2] = address_arg(address)
        a[3] = parse_int(flags, "flags", 0, 0xffffffff)
        if a[3] & ~<uint64_t>TTU_KNOWN:
            raise ValueError(f"flags={flags!r}: expected an action and flags of TTU")
        return Swap(self.machine.run_op(op_unmap_one, a))

    def try_to_unmap_cluster(self, cursor, mapcount, vma, check_page=None):
        """One cluster of a nonlinear VMA: (Swap, mapcount left to look for)."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        a[0] = 0 if check_page is None else pfn_of(self.machine, check_page, True)
        a[1] = <uint64_t>vma_arg(self.machine, vma)
        a[2] = address_arg(cursor)
        a[3] = parse_int(mapcount, "mapcount", 0, 0xffffffff)
        r = self.machine.run_op(op_unmap_cluster, a)
        return Swap(r), a[3]

    def try_to_munlock(self, page):
        """Is a locked VMA left that maps it? A Swap: MLOCK if so."""
        cdef uint64_t a[5]
        return Swap(self._run(op_munlock, page, _NOT_ASKED, 0, a))

    # ------------------------------------------------------------ walking
    def rmap_walk(self, page, rmap_one):
        """Calls ``rmap_one(page, vma, address)`` for each place where the page may be mapped; a Swap: what it returned, when that is not
        Swap.AGAIN the walk ends. None counts as AGAIN. It may use the bench only; what it raises ends the walk and comes out here.
        """
        cdef uint64_t a[5]
        if not callable(rmap_one):
            raise TypeError(f"{rmap_one!r} is not callable")
        walker = (self.machine, page, rmap_one)
        return Swap(self._run(op_walk, page, _NOT_ASKED, <uint64_t><void*>walker, a))
