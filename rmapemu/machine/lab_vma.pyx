# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for address spaces and VMAs: built by hand, linked into mm and file, never merged.
# Kernel: mm/mmap.c (vma_link, unlink_file_vma). total_vm is kept in step, so that a VMA built here can be unmapped.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.machine.bench cimport Bench
from rmapemu.machine.file cimport mapping_arg
from rmapemu.machine.process_view cimport mm_arg
from rmapemu.machine.vma cimport Vma, vma_arg, vma_handle
from rmapemu.mm.filemap cimport file_put
from rmapemu.mm.fork cimport mm_alloc
from rmapemu.mm.kmem cimport kmem_cache_free
from rmapemu.mm.mmap cimport vma_alloc, vma_link, vma_unlink_file, vm_get_page_prot
from rmapemu.mm.types cimport *

from rmapemu.errors import OutOfMemory
from rmapemu.machine.enums import VmFlag
from rmapemu.machine.process import Process
from rmapemu.machine.sizes import parse_int

_RSS = ("file", "anon", "swap")


cdef int64_t op_mm(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* mm = mm_alloc(m)
    return -ENOMEM if mm == NULL else <int64_t>(mm - <mm_struct*>m.kmem[KMEM_MM].base)


cdef int64_t link(machine* m, mm_struct* mm, vm_area_struct* v) noexcept nogil:
    cdef int err
    v.vm_mm = mm
    v.leaf.key = <uint64_t>-1
    v.vm_page_prot = vm_get_page_prot(m, v.vm_flags)
    if v.vm_file != NULL:
        v.vm_file.refs += 1
    err = vma_link(m, mm, v)
    if err:
        return err
    mm.total_vm += (v.vm_end - v.vm_start) >> m.page_shift
    return <int64_t>(<uint64_t>v - <uint64_t>m.kmem[KMEM_VMA].base)


cdef void unlink(machine* m, vm_area_struct* v) noexcept nogil:
    """Out of its mm's list and array and its file; the file's reference stays."""
    cdef mm_struct* mm = v.vm_mm
    cdef uint32_t i = 0
    if v.vm_file != NULL:
        vma_unlink_file(m, v)
    while mm.vmas[i] != v:
        i += 1
    mm.map_count -= 1
    while i < mm.map_count:
        mm.vmas[i] = mm.vmas[i + 1]
        i += 1
    if v.vm_prev != NULL:
        v.vm_prev.vm_next = v.vm_next
    else:
        mm.mmap = v.vm_next
    if v.vm_next != NULL:
        v.vm_next.vm_prev = v.vm_prev
    v.vm_next = NULL
    v.vm_prev = NULL
    if mm.mmap_cache == v:
        mm.mmap_cache = NULL
    mm.total_vm -= (v.vm_end - v.vm_start) >> m.page_shift


cdef int64_t op_vma(machine* m, const uint64_t* a) noexcept nogil:
    """a: mm, start, end, flags, pgoff, file, VMA to copy or 0."""
    cdef vm_area_struct* v = vma_alloc(m)
    if v == NULL:
        return -ENOMEM
    v.vm_start = a[1]
    v.vm_end = a[2]
    v.vm_flags = a[3]
    v.vm_pgoff = a[4]
    v.vm_file = <address_space*>a[5]
    if a[6]:
        v.anon_vma = (<vm_area_struct*>a[6]).anon_vma
        v.vm_private_data = (<vm_area_struct*>a[6]).vm_private_data
    return link(m, <mm_struct*>a[0], v)


cdef int64_t op_bounds(machine* m, const uint64_t* a) noexcept nogil:
    cdef vm_area_struct* v = <vm_area_struct*>a[0]
    cdef mm_struct* mm = v.vm_mm
    unlink(m, v)
    v.vm_start = a[1]
    v.vm_end = a[2]
    v.vm_pgoff = a[3]
    if v.vm_file != NULL:
        v.vm_file.refs -= 1
    return link(m, mm, v)


cdef int64_t op_flags(machine* m, const uint64_t* a) noexcept nogil:
    cdef vm_area_struct* v = <vm_area_struct*>a[0]
    cdef mm_struct* mm = v.vm_mm
    if not (v.vm_flags ^ a[1]) & (VM_NONLINEAR | VM_SHARED):
        # it keeps its place among the file's VMAs
        v.vm_flags = a[1]
        v.vm_page_prot = vm_get_page_prot(m, v.vm_flags)
        return <int64_t>(<uint64_t>v - <uint64_t>m.kmem[KMEM_VMA].base)
    unlink(m, v)
    v.vm_flags = a[1]
    if v.vm_file != NULL:
        v.vm_file.refs -= 1
    return link(m, mm, v)


cdef int64_t op_remove(machine* m, const uint64_t* a) noexcept nogil:
    cdef vm_area_struct* v = <vm_area_struct*>a[0]
    unlink(m, v)
    if v.vm_file != NULL:
        file_put(m, v.vm_file)
    kmem_cache_free(m, KMEM_VMA, v)
    return 0


cdef class LabVma(Bench):
    """mm, vma and what belongs to them."""

    def mm(self, str name="lab"):
        """A new Process with an empty address space."""
        cdef mm_struct* mm
        cdef int64_t slot
        self.outside()
        slot = self.do(op_mm, NULL)
        mm = <mm_struct*>self.machine.m.kmem[KMEM_MM].base + slot
        self.machine.tasks[mm.pid] = (slot, name, 0)
        return Process(self.machine, mm.pid)

    cdef object _range(self, mm_struct* mm, object start, object npages, vm_area_struct* but):
        """(start, end) in bytes, where nothing is mapped."""
        cdef uint32_t i
        size = self.machine.page_size
        start, npages = parse_int(start, "start"), parse_int(npages, "npages")
        least = 0 if but != NULL and but.vm_flags & VM_NONLINEAR else 1
        if start < 0 or start % size or npages < least or start + npages * size > mm.task_size:
            raise ValueError(f"start={start:#x}, npages={npages}: expected whole pages below {mm.task_size:#x}")
        for i in range(mm.map_count):
            if mm.vmas[i] != but and mm.vmas[i].vm_start < start + npages * size and start < mm.vmas[i].vm_end:
                raise ValueError(f"start={start:#x}, npages={npages}: there is VMA {mm.vmas[i].serial} already")
        return start, start + npages * size

    def vma(self, mm, start, npages, flags=VmFlag.READ | VmFlag.WRITE, pgoff=None, file=None):
        """A VMA of npages pages at start. pgoff in pages: by default start's page number, for a file 0."""
        cdef uint64_t a[7]
        cdef mm_struct* to
        self.outside()
        to = mm_arg(self.machine, mm)
        a[0] = <uint64_t>to
        a[1], a[2] = self._range(to, start, npages, NULL)
        a[3] = parse_int(flags, "flags", 0)
        a[5] = 0 if file is None else <uint64_t>mapping_arg(self.machine, file)
        a[4] = parse_int(pgoff, "pgoff", 0) if pgoff is not None else 0 if file is not None else a[1] >> self.machine.m.page_shift
        a[6] = 0
        return self._made(self.do(op_vma, a))

    cdef Vma _made(self, int64_t slot):
        if slot < 0:
            raise OutOfMemory("the workbench could not link the VMA")
        return vma_handle(self.machine, <vm_area_struct*>(self.machine.m.kmem[KMEM_VMA].base + slot))

    def vma_dup(self, vma, mm=None, start=None, npages=None, pgoff=None):
        """A copy of the VMA, as fork and split make one: the same anon_vma, but linked to none yet (its chain is empty)."""
        cdef uint64_t a[7]
        cdef vm_area_struct* v
        cdef mm_struct* to
        self.outside()
        v = vma_arg(self.machine, vma)
        to = v.vm_mm if mm is None else mm_arg(self.machine, mm)
        a[0] = <uint64_t>to
        npages = (v.vm_end - v.vm_start) >> self.machine.m.page_shift if npages is None else npages
        a[1], a[2] = self._range(to, v.vm_start if start is None else start, npages, NULL)
        a[3] = v.vm_flags
        a[4] = v.vm_pgoff if pgoff is None else parse_int(pgoff, "pgoff", 0)
        a[5] = <uint64_t>v.vm_file
        a[6] = <uint64_t>v
        return self._made(self.do(op_vma, a))

    def vma_bounds(self, vma, start, npages, pgoff=None):
        """Moves, grows or shrinks the VMA; its entries stay where they are. Returns a handle with the new range. A nonlinear one may
        have no pages at all.
        """
        cdef uint64_t a[4]
        cdef vm_area_struct* v
        self.outside()
        v = vma_arg(self.machine, vma)
        a[0] = <uint64_t>v
        a[1], a[2] = self._range(v.vm_mm, start, npages, v)
        a[3] = v.vm_pgoff if pgoff is None else parse_int(pgoff, "pgoff", 0)
        return self._made(self.do(op_bounds, a))

    def vma_flags(self, vma, flags=None):
        """The VMA's flags; sets them first where some are given (VM_NONLINEAR moves it to the file's other list)."""
        cdef uint64_t a[2]
        cdef vm_area_struct* v
        self.outside()
        v = vma_arg(self.machine, vma)
        if flags is not None:
            a[0] = <uint64_t>v
            a[1] = parse_int(flags, "flags", 0)
            self._made(self.do(op_flags, a))
        return VmFlag(v.vm_flags)

    def vma_anon_vma(self, vma, serial):
        """Sets vma.anon_vma, by serial number or None; its chain stays."""
        self.open()
        vma_arg(self.machine, vma).anon_vma = NULL if serial is None else self.av(serial)

    def vma_remove(self, vma):
        """Frees the VMA; ``rmap.unlink_anon_vmas`` comes first. Entries in its range stay."""
        cdef uint64_t a[1]
        cdef vm_area_struct* v
        self.outside()
        v = vma_arg(self.machine, vma)
        if v.avc_head != NULL:
            raise ValueError(f"{vma!r} is linked to anon_vmas: call rmap.unlink_anon_vmas first")
        a[0] = <uint64_t>v
        self.do(op_remove, a)

    def cursor(self, vma, value=None):
        """A nonlinear VMA's cursor in bytes (vm_private_data); sets it first where one is given."""
        cdef vm_area_struct* v
        self.open()
        v = vma_arg(self.machine, vma)
        if value is not None:
            v.vm_private_data = parse_int(value, "value", 0)
        return v.vm_private_data

    # ------------------------------------------------------------ mm_struct
    def rss(self, mm, str kind, value=None):
        """A counter of the mm in pages: ``"file"``, ``"anon"`` or ``"swap"``; sets it first where a value is given."""
        cdef mm_struct* to
        self.open()
        to = mm_arg(self.machine, mm)
        if kind not in _RSS:
            raise ValueError(f"kind={kind!r}: expected one of {', '.join(_RSS)}")
        if value is not None:
            to.rss_stat[<int>_RSS.index(kind)] = parse_int(value, "value", -(1 << 63), (1 << 63) - 1)
        return to.rss_stat[<int>_RSS.index(kind)]

    def hiwater_rss(self, mm, value=None):
        """The high-water mark in pages, as last recorded; sets it first where a value is given."""
        cdef mm_struct* to
        self.open()
        to = mm_arg(self.machine, mm)
        if value is not None:
            to.hiwater_rss = parse_int(value, "value", 0)
        return to.hiwater_rss

    def locked_vm(self, mm, value=None):
        """Pages in locked VMAs; sets it first where a value is given."""
        cdef mm_struct* to
        self.open()
        to = mm_arg(self.machine, mm)
        if value is not None:
            to.locked_vm = parse_int(value, "value", 0)
        return to.locked_vm

    def set_current(self, mm):
        """Makes it the running process; None: none."""
        self.open()
        self.machine.m.current = NULL if mm is None else mm_arg(self.machine, mm)

    def set_swap_token(self, mm):
        """Gives it the swap token; None: nobody has it."""
        self.open()
        self.machine.m.swap_token_mm = NULL if mm is None else mm_arg(self.machine, mm)
