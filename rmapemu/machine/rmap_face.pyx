# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.rmap: the functions of mm/rmap.c by their names, with handles for pointers, in the kernel's order of arguments.
# Differs: out-parameters come back as results; the page table lock that a function leaves to its caller is dropped before it returns.
from libc.stdint cimport int64_t, uint64_t
from rmapemu.machine.base cimport op_t
from rmapemu.machine.file cimport mapping_arg
from rmapemu.machine.page cimport pfn_of
from rmapemu.machine.process_view cimport address_arg
from rmapemu.machine.rmap_ops cimport *
from rmapemu.machine.rmap_where cimport RmapWhere
from rmapemu.machine.vma cimport vma_arg
from rmapemu.mm.types cimport *

from rmapemu.machine.enums import Swap, TTU, VmFlag
from rmapemu.machine.rmap_link import NOT_ASKED
from rmapemu.machine.sizes import parse_int

cdef enum:
    TTU_KNOWN = 0x7ff

_UNDERSCORED = {
    "__put_anon_vma": "put_anon_vma_last", "__page_check_address": "page_check_address", "__page_set_anon_rmap": "page_set_anon_rmap",
    "__page_check_anon_rmap": "page_check_anon_rmap", "__hugepage_set_anon_rmap": "hugepage_set_anon_rmap",
}


cdef object _group(Rmap rmap, object memcg):
    """A group as mm/ wants it: its number + 1; 0: none. Without cgroup_mem every mm matches."""
    number = 0 if memcg is None else parse_int(memcg, "memcg", 0, NR_MEMCG - 1) + 1
    return number if rmap.machine.m.config.cgroup_mem else 0


cdef class Rmap(RmapWhere):
    """The reverse map's functions. Arguments are handles of this machine; a page that is free, or a VMA that is gone, is refused.

    The functions that begin with two underscores are had under those names too, but not from within a class, where Python changes
    them: ``page_check_address`` is ``__page_check_address``, ``put_anon_vma_last`` is ``__put_anon_vma``.
    """

    def __getattr__(self, name):
        plain = _UNDERSCORED.get(name)
        if plain is None:
            raise AttributeError(f"mm/rmap.c has no function {name!r}", name=name, obj=self)
        return getattr(self, plain)

    # ------------------------------------------------------------ was it used
    def page_referenced(self, page, is_locked=False, memcg=None):
        """(references found and cleared, VmFlags of the VMAs that used it). memcg: only that group's processes; None: all."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        r = self._run(op_referenced, page, NOT_ASKED, (1 if is_locked else 0) | _group(self, memcg) << 1, a)
        return r, VmFlag(a[3])

    cdef object _used(self, op_t op, object page, object memcg, object vm_flags):
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        a[0] = pfn_of(self.machine, page, True)
        a[2] = _group(self, memcg)
        a[3] = parse_int(vm_flags, "vm_flags", 0)
        r = self.machine.run_op(op, a)
        return r, VmFlag(a[3])

    def page_referenced_anon(self, page, memcg=None, vm_flags=0):
        """page_referenced of an anonymous page: (references, vm_flags with those of the VMAs that used it)."""
        return self._used(op_referenced_anon, page, memcg, vm_flags)

    def page_referenced_file(self, page, memcg=None, vm_flags=0):
        """page_referenced of a file page, which is locked: (references, vm_flags)."""
        return self._used(op_referenced_file, page, memcg, vm_flags)

    def page_referenced_ksm(self, page, memcg=None, vm_flags=0):
        """page_referenced of a KSM page, which is locked: (references, vm_flags)."""
        return self._used(op_referenced_ksm, page, memcg, vm_flags)

    def page_referenced_one(self, page, vma, address, mapcount, vm_flags=0):
        """One VMA of page_referenced: (references, mapcount left to look for, vm_flags)."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        a[0] = pfn_of(self.machine, page, True)
        a[1] = <uint64_t>vma_arg(self.machine, vma)
        a[2] = address_arg(address)
        a[3] = parse_int(mapcount, "mapcount", 0, 0xffffffff)
        a[4] = parse_int(vm_flags, "vm_flags", 0)
        r = self.machine.run_op(op_referenced_one, a)
        return r, a[3], VmFlag(a[4])

    def page_mkclean(self, page):
        """Write-protects and cleans all shared mappings of a file page: how many were dirty or writable."""
        cdef uint64_t a[5]
        return self._run(op_mkclean, page, NOT_ASKED, 0, a)

    def page_mkclean_one(self, page, vma, address):
        """One VMA of page_mkclean: was it dirty or writable?"""
        cdef uint64_t a[5]
        return self._run(op_mkclean_one, page, vma, address_arg(address), a)

    def page_mkclean_file(self, mapping, page):
        """The VMAs of one File: how many mappings of the page were dirty or writable."""
        cdef uint64_t a[5]
        self.machine.usable()
        return self._run(op_mkclean_file, page, NOT_ASKED, <uint64_t>mapping_arg(self.machine, mapping), a)

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

    def page_set_anon_rmap(self, page, vma, address, exclusive):
        """__page_set_anon_rmap: page.mapping and index of a page that is not anonymous yet; the root's anon_vma unless exclusive."""
        self._add(op_set_anon_exclusive if exclusive else op_set_anon, page, vma, address)

    def page_check_anon_rmap(self, page, vma, address):
        """__page_check_anon_rmap: with debug_vm, BUG_ON where root or index differ from the VMA's."""
        self._add(op_check_anon, page, vma, address)

    def hugepage_set_anon_rmap(self, page, vma, address, exclusive):
        """__hugepage_set_anon_rmap: the same for hugetlb pages."""
        self._needs("hugetlb_page")
        self._add(op_huge_set_anon_exclusive if exclusive else op_huge_set_anon, page, vma, address)

    def hugepage_add_anon_rmap(self, page, vma, address):
        """page_add_anon_rmap for hugetlb pages."""
        self._needs("hugetlb_page")
        self._add(op_huge_add_anon, page, vma, address)

    def hugepage_add_new_anon_rmap(self, page, vma, address):
        """page_add_new_anon_rmap for hugetlb pages."""
        self._needs("hugetlb_page")
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
        self._run(op_add_file, page, NOT_ASKED, 0, a)

    def page_dup_rmap(self, page):
        """Accounts one more mapping by fork."""
        cdef uint64_t a[5]
        self.open()
        self._run(op_dup, page, NOT_ASKED, 0, a)

    def page_remove_rmap(self, page):
        """Accounts one mapping less."""
        cdef uint64_t a[5]
        self.open()
        self._run(op_remove_rmap, page, NOT_ASKED, 0, a)

    # ------------------------------------------------------------ taking mappings away
    cdef object _unmap(self, op_t op, object page, object flags):
        cdef uint64_t a[5]
        bits = parse_int(flags, "flags", 0, 0xffffffff)
        if bits & ~TTU_KNOWN or bits & 0xff > 2:
            raise ValueError(f"flags={flags!r}: expected an action and flags of TTU")
        return Swap(self._run(op, page, NOT_ASKED, bits, a))

    def try_to_unmap(self, page, flags=TTU.UNMAP):
        """Removes all mappings of the locked page: a Swap."""
        return self._unmap(op_unmap, page, flags)

    def try_to_unmap_anon(self, page, flags=TTU.UNMAP):
        """try_to_unmap of an anonymous page."""
        return self._unmap(op_unmap_anon, page, flags)

    def try_to_unmap_file(self, page, flags=TTU.UNMAP):
        """try_to_unmap of a file page, nonlinear mappings included."""
        return self._unmap(op_unmap_file, page, flags)

    def try_to_unmap_ksm(self, page, flags=TTU.UNMAP):
        """try_to_unmap of a KSM page."""
        return self._unmap(op_unmap_ksm, page, flags)

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
        return Swap(self._run(op_munlock, page, NOT_ASKED, 0, a))

    # ------------------------------------------------------------ walking
    cdef object _walk(self, op_t op, object page, object rmap_one, object arg):
        cdef uint64_t a[5]
        self._needs("migration")
        if not callable(rmap_one):
            raise TypeError(f"{rmap_one!r} is not callable")
        walker = (self.machine, page, rmap_one, () if arg is NOT_ASKED else (arg,))
        return Swap(self._run(op, page, NOT_ASKED, <uint64_t><void*>walker, a))

    def rmap_walk(self, page, rmap_one, arg=NOT_ASKED):
        """Calls ``rmap_one(page, vma, address)``, with arg behind it where one is given, for each place where the page may be mapped; a
        Swap: what it returned, when that is not Swap.AGAIN the walk ends. None counts as AGAIN. It may use the bench only; what it
        raises ends the walk and comes out here.
        """
        return self._walk(op_walk, page, rmap_one, arg)

    def rmap_walk_anon(self, page, rmap_one, arg=NOT_ASKED):
        """rmap_walk of an anonymous page."""
        return self._walk(op_walk_anon, page, rmap_one, arg)

    def rmap_walk_file(self, page, rmap_one, arg=NOT_ASKED):
        """rmap_walk of a file page; nonlinear VMAs are left out."""
        return self._walk(op_walk_file, page, rmap_one, arg)

    def rmap_walk_ksm(self, page, rmap_one, arg=NOT_ASKED):
        """rmap_walk of a KSM page, which is locked."""
        return self._walk(op_walk_ksm, page, rmap_one, arg)
