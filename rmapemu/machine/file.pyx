# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# File: an inode and its page cache. Kernel: include/linux/fs.h (struct address_space), mm/filemap.c.
# Differs: no names, no descriptors; a File lives until it is closed and nothing maps it.
from libc.errno cimport ENOMEM
from libc.stdint cimport uint64_t, int64_t, uint32_t
from rmapemu.machine.base cimport errno_error
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.page cimport page_handle
from rmapemu.mm.filemap cimport file_put, filemap_fdatawrite, generic_file_read, generic_file_write, vmtruncate
from rmapemu.mm.radix_tree cimport radix_tree_lookup
from rmapemu.mm.types cimport *

from rmapemu.errors import OutOfMemory
from rmapemu.machine.sizes import parse_int, parse_size


cdef enum:
    MAX_RW_COUNT = 0x7ffff000   # of one read(2) or write(2)


cdef File file_handle(Machine machine, address_space* a):
    cdef File self = File.__new__(File)
    self.machine = machine
    self.ino = a.ino
    self.generation = machine.file_names.get(a.ino, (0, None))[0]
    return self


cdef address_space* mapping_arg(Machine machine, object handle) except NULL:
    if not isinstance(handle, File):
        raise TypeError(f"file: expected a File, not {type(handle).__name__}")
    if (<File>handle).machine is not machine:
        raise ValueError(f"{handle!r} is a file of another machine")
    return (<File>handle).a()


cdef int64_t op_read(machine* m, const uint64_t* a) noexcept nogil:
    return generic_file_read(m, <address_space*>a[0], a[1], a[2])


cdef int64_t op_write(machine* m, const uint64_t* a) noexcept nogil:
    if a[3] != 0:
        m.has_tokens = 1
    return generic_file_write(m, <address_space*>a[0], a[1], a[2], a[3])


cdef int64_t op_truncate(machine* m, const uint64_t* a) noexcept nogil:
    return vmtruncate(m, <address_space*>a[0], a[1])


cdef int64_t op_msync(machine* m, const uint64_t* a) noexcept nogil:
    return filemap_fdatawrite(m, <address_space*>a[0], a[1], a[2])


cdef int64_t op_close(machine* m, const uint64_t* a) noexcept nogil:
    file_put(m, <address_space*>a[0])
    return 0


cdef class File:
    """An inode: ``size`` bytes, ``nrpages`` of it in the page cache; ``kind`` is ``"regular"`` or ``"shmem"``."""

    def __init__(self, Machine machine not None, uint32_t ino, uint64_t generation):
        self.machine = machine
        self.ino = ino
        self.generation = generation

    cdef address_space* a(self) except NULL:
        return self.machine.mapping_of(self.ino, self.generation)

    @property
    def name(self):
        """What it was called when it was made."""
        self.a()
        return self.machine.file_names.get(self.ino, (0, f"shmem{self.ino}"))[1]

    @property
    def kind(self):
        """``"regular"``: disk-backed. ``"shmem"``: swap-backed."""
        return "shmem" if self.a().kind == FILE_SHMEM else "regular"

    @property
    def size(self):
        """Bytes (i_size)."""
        return self.a().i_size

    @property
    def nrpages(self):
        """Pages in the page cache."""
        return self.a().nrpages

    @property
    def swapped(self):
        """shmem: pages in swap."""
        return self.a().swapped

    def page(self, index):
        """The Page at this offset in pages, or None if it is not in the page cache."""
        cdef uint64_t slot = radix_tree_lookup(self.machine.m, self.a(), <uint64_t>_offset(index, "index"))
        return None if slot == 0 or slot & 1 else page_handle(self.machine, <uint32_t>(slot >> 1))

    cdef int64_t _do(self, int which, uint64_t x, uint64_t y, uint64_t z) except -1:
        cdef uint64_t a[4]
        cdef int64_t r
        a[0] = <uint64_t>self.a()
        a[1] = x
        a[2] = y
        a[3] = z
        if which == 0:
            r = self.machine.run_op(op_read, a)
        elif which == 1:
            r = self.machine.run_op(op_write, a)
        elif which == 2:
            r = self.machine.run_op(op_truncate, a)
        else:
            r = self.machine.run_op(op_msync, a)
        if r == -ENOMEM:
            raise OutOfMemory(self.machine.lists())
        if r < 0:
            raise errno_error(r, f"file {self.ino}")
        return r

    def read(self, offset=0, size=None):
        """read(2): brings the pages in. Returns how many pages were read (there is no content: for
        tokens, ``page(i).token``). As in v3.2 one call reads 2 GiB less a page at most."""
        first = _offset(offset, "offset")
        many = max(0, self.a().i_size - first) if size is None else parse_size(size)
        return self._do(0, first, min(many, MAX_RW_COUNT), 0)

    def write(self, offset, size, token=0):
        """write(2): the pages become dirty, the file grows where needed, each page's content becomes the token.
        Returns how many pages were written; one call writes 2 GiB less a page at most."""
        return self._do(1, _offset(offset, "offset"), min(parse_size(size), MAX_RW_COUNT), _offset(token, "token"))

    def truncate(self, size):
        """truncate(2): unmaps and drops the pages behind the new end."""
        self._do(2, parse_size(size), 0, 0)

    def msync(self, offset=0, size=None):
        """Writes dirty pages of the range back. Returns how many."""
        cdef int shift
        self.machine.readable()
        shift = self.machine.m.page_shift
        first = _offset(offset, "offset")
        end = first + (max(0, self.a().i_size - first) if size is None else parse_size(size))
        return 0 if end == first else self._do(3, first >> shift, (end - 1) >> shift, 0)

    def close(self):
        """Lets go of the inode: it is freed with its pages when nothing maps it any more. This handle is gone."""
        cdef uint64_t a[1]
        a[0] = <uint64_t>self.a()
        self.machine.usable()
        self.machine.file_names[self.ino] = (self.generation + 1, f"closed{self.ino}")
        self.machine.call(op_close, a)

    def __eq__(self, other):
        return (isinstance(other, File) and (<File>other).machine is self.machine and (<File>other).ino == self.ino
                and (<File>other).generation == self.generation)

    def __hash__(self):
        return hash((id(self.machine), self.ino, self.generation))

    def __repr__(self):
        try:
            return f"<File {self.name}: {self.kind}, {self.size} bytes, {self.nrpages} pages cached>"
        except (LookupError, ValueError):
            return f"<File {self.ino}, gone>"


def _offset(value, name):
    number = parse_int(value, name)
    if not 0 <= number < 1 << 63:
        raise ValueError(f"{name}={value!r}: expected 0 to 2**63 - 1")
    return number
