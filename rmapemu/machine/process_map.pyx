# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Process, its mappings: mmap and its relatives. Kernel: the sys_* functions of mm/mmap.c, mm/mprotect.c, mm/mlock.c, mm/fremap.c.
# Differs: no threads, one process per mm.
from libc.stdint cimport uint64_t, int64_t
from rmapemu.machine.base cimport errno_error, op_t
from rmapemu.machine.file cimport mapping_arg
from rmapemu.machine.process_view cimport ProcessView, address_arg
from rmapemu.machine.vma cimport vma_at, vma_handle_range
from rmapemu.mm.fremap cimport sys_remap_file_pages
from rmapemu.mm.mlock cimport MCL_CURRENT, MCL_FUTURE, sys_mlock, sys_mlockall, sys_munlockall
from rmapemu.mm.mmap cimport MAP_ANONYMOUS, MAP_FIXED, MAP_NONBLOCK, sys_brk, sys_mmap_pgoff, sys_munmap
from rmapemu.mm.mprotect cimport sys_mprotect
from rmapemu.mm.types cimport *

from rmapemu.machine.enums import map_flags, prot_bits
from rmapemu.machine.sizes import parse_int, parse_size


# ---------------------------------------------------------------- operations: a[0] is the mm
cdef int64_t op_mmap(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_mmap_pgoff(m, <mm_struct*>a[0], <address_space*>a[1], a[2], a[3], a[4], a[5], a[6])


cdef int64_t op_munmap(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_munmap(m, <mm_struct*>a[0], a[1], a[2])


cdef int64_t op_mprotect(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_mprotect(m, <mm_struct*>a[0], a[1], a[2], a[3])


cdef int64_t op_mlock(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_mlock(m, <mm_struct*>a[0], a[1], a[2], a[3] != 0)


cdef int64_t op_mlockall(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_mlockall(m, <mm_struct*>a[0], <int>a[1]) if a[2] else sys_munlockall(m, <mm_struct*>a[0])


cdef int64_t op_brk(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return sys_brk(m, <mm_struct*>a[0], a[1])


cdef int64_t op_remap_file_pages(machine* m, const uint64_t* a) noexcept nogil:
    """a[3]: pgoff, and MAP_NONBLOCK below it."""
    m.current = <mm_struct*>a[0]
    return sys_remap_file_pages(m, <mm_struct*>a[0], a[1], a[2], a[3] >> 1, MAP_NONBLOCK if a[3] & 1 else 0)


cdef class ProcessMap(ProcessView):
    """The mappings of a process."""

    cdef int64_t _call(self, object what, op_t op, uint64_t x, uint64_t y, uint64_t z) except -1:
        cdef uint64_t[4] a = [<uint64_t>self.mm(), x, y, z]
        cdef int64_t r = self.machine.run_op(op, a)
        if r < 0:
            raise errno_error(r, f"{what} of process {self.pid}")
        return r

    # ------------------------------------------------------------ mappings
    def mmap(self, length, prot="rw", flags=None, *, file=None, offset=0, addr=None, fixed=False):
        """Maps length bytes: anonymous and private by default, private where a File is given. Returns the Vma.

        ``prot`` is letters of ``rwx`` or ``"none"``, ``flags`` MAP_* names joined by ``|``; ``addr`` is a hint, with ``fixed`` the
        place, where older mappings make room. OSError with errno as mmap(2).
        """
        cdef uint64_t a[7]
        cdef int64_t r
        cdef vm_area_struct* v
        a[0] = <uint64_t>self.mm()
        a[1] = 0 if file is None else <uint64_t>mapping_arg(self.machine, file)
        bits = map_flags(flags if flags is not None else "private|anonymous" if file is None else "private")
        if bool(bits & MAP_ANONYMOUS) == (file is not None):
            raise ValueError("mmap: give a file, or the flag anonymous" if file is None else "mmap: a file, and the flag anonymous")
        if addr is None and (fixed or bits & MAP_FIXED):
            raise ValueError("mmap: fixed needs an addr")
        size, start = parse_size(length, "length"), parse_size(offset, "offset")
        if start & (self.machine.page_size - 1):
            raise ValueError(f"offset={offset!r}: not a multiple of the page size {self.machine.page_size}")
        if size >= 1 << 63 or start >= 1 << 63:
            raise ValueError(f"length={length!r}, offset={offset!r}: too large")
        a[2] = 0 if addr is None else address_arg(addr)
        a[3] = size
        a[4] = prot_bits(prot)
        a[5] = bits | (MAP_FIXED if fixed else 0)
        a[6] = start >> self.machine.m.page_shift
        r = self.machine.run_op(op_mmap, a)
        if r < 0:
            raise errno_error(r, f"mmap of {size} bytes in process {self.pid}")
        v = vma_at(<mm_struct*>a[0], <uint64_t>r)
        size = (size + self.machine.page_size - 1) & ~(self.machine.page_size - 1)
        return vma_handle_range(self.machine, v, <uint64_t>r, <uint64_t>r + <uint64_t>size)

    def munmap(self, start, length):
        """munmap(2): unmaps every page of the range; VMAs are cut where it begins and ends."""
        self._call("munmap", op_munmap, address_arg(start), _length(length), 0)

    def mprotect(self, start, length, prot):
        """mprotect(2)."""
        self._call("mprotect", op_mprotect, address_arg(start), _length(length), prot_bits(prot))

    def mlock(self, start, length):
        """mlock(2): the pages are brought in and become unevictable."""
        self._call("mlock", op_mlock, address_arg(start), _length(length), 1)

    def munlock(self, start, length):
        """munlock(2)."""
        self._call("munlock", op_mlock, address_arg(start), _length(length), 0)

    def mlockall(self, *, current=True, future=False):
        """mlockall(2): every mapping there is, every one that comes, or both. What cannot be brought in is no error."""
        self._call("mlockall", op_mlockall, (MCL_CURRENT if current else 0) | (MCL_FUTURE if future else 0), 1, 0)

    def munlockall(self):
        """munlockall(2)."""
        self._call("munlockall", op_mlockall, 0, 0, 0)

    def brk(self, address=0):
        """brk(2): the new end of the heap; where it cannot be had (and for 0) the old one."""
        return self._call("brk", op_brk, address_arg(address), 0, 0)

    def remap_file_pages(self, start, length, pgoff, *, nonblock=False):
        """remap_file_pages(2): the pages of the range, within one shared mapping of a file, show the file from page pgoff on. A mapping
        of a tmpfs file becomes nonlinear; a regular file's, whose dirty pages are accounted for, is split. ``nonblock``: the
        pages come with the faults.
        """
        page = parse_int(pgoff, "pgoff")
        if not 0 <= page < 1 << 62:
            raise ValueError(f"pgoff={pgoff!r}: expected a page of a file")
        self._call("remap_file_pages", op_remap_file_pages, address_arg(start), _length(length), page << 1 | bool(nonblock))


cdef uint64_t _length(object length) except? 0xffffffffffffffff:
    size = parse_size(length, "length")
    if size >= 1 << 63:
        raise ValueError(f"length={length!r}: too large")
    return size
