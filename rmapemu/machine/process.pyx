# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Process: system calls and memory accesses of one address space. Kernel: the sys_* functions.
# What there is to see of it is process_view.pyx. Differs: no threads, one process per mm.
from libc.errno cimport ENOMEM, EINTR
from libc.stdint cimport uint64_t, int64_t, uint32_t, uint8_t
from rmapemu.hw.pte cimport pte_present, pte_pfn
from rmapemu.machine.base cimport ACCESS_CHUNK, TRAPPED, errno_error
from rmapemu.machine.file cimport mapping_arg
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.process_view cimport address_arg
from rmapemu.machine.vma cimport vma_at, vma_handle_range
from rmapemu.mm.fork cimport dup_mm, exec_mmap, mmput
from rmapemu.mm.lock cimport rm_setjmp
from rmapemu.mm.memory cimport do_page_fault
from rmapemu.mm.mlock cimport MCL_CURRENT, MCL_FUTURE, sys_mlock, sys_mlockall, sys_munlockall
from rmapemu.mm.mmap cimport MAP_ANONYMOUS, MAP_FIXED, sys_brk, sys_mmap_pgoff, sys_munmap
from rmapemu.mm.mprotect cimport sys_mprotect
from rmapemu.mm.types cimport *

from rmapemu.machine.arrays import address_array, kind_array
from rmapemu.machine.enums import map_flags, prot_bits
from rmapemu.machine.sizes import parse_size


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


cdef int64_t op_fork(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* child
    m.current = <mm_struct*>a[0]
    child = dup_mm(m, <mm_struct*>a[0])
    return -ENOMEM if child == NULL else <int64_t>(child - <mm_struct*>m.kmem[KMEM_MM].base)


cdef int64_t op_exec(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return exec_mmap(m, <mm_struct*>a[0])


cdef int64_t op_exit(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    mmput(m, <mm_struct*>a[0])
    if m.current == <mm_struct*>a[0]:
        m.current = NULL
    return 0


# ---------------------------------------------------------------- accesses
cdef void tell_policy(void* ctx, const uint32_t* pfn, int64_t n) noexcept nogil:
    cdef machine* m = <machine*>ctx
    m.policy.touched(m, m.policy.state, pfn, n)


cdef int64_t access_trapped(machine* m, mm_struct* mm, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n,
        int* err) noexcept nogil:
    """How many completed, with *err for the one that did not; TRAPPED after an unwinding."""
    cdef int64_t done
    if rm_setjmp(m.trap) != 0:
        return TRAPPED
    m.trap_set = 1
    m.current = mm
    if m.policy != NULL and m.policy.touched != NULL:
        done = m.hw.ops.access_traced(&m.hw, &mm.hw, va, kind, kind0, n, do_page_fault, m, err, tell_policy)
    else:
        done = m.hw.ops.access(&m.hw, &mm.hw, va, kind, kind0, n, do_page_fault, m, err)
    m.clock += <uint64_t>done
    m.trap_set = 0
    return done


_KINDS = {"r": 0, "w": 1, "x": 2}


cdef class Process(ProcessView):
    """A process: its address space and what it can do with it. Equal when pid and machine are the same.

    >>> from rmapemu import Machine
    >>> m = Machine(memory="16M", swap="16M")
    >>> init = m.spawn("init")
    >>> heap = init.mmap(4 * m.page_size)
    >>> init.write(heap.start, 7)
    >>> child = init.fork()
    >>> child.page_at(heap.start).mapcount, child.read(heap.start)
    (2, 7)
    """

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

    # ------------------------------------------------------------ life
    def fork(self, name=None):
        """A child with a copy of the address space. OSError ENOMEM leaves nothing behind."""
        cdef uint64_t a[1]
        cdef int64_t r
        cdef mm_struct* child
        a[0] = <uint64_t>self.mm()
        own = self.name
        r = self.machine.run_op(op_fork, a)
        if r < 0:
            raise errno_error(r, f"fork of process {self.pid}")
        child = <mm_struct*>self.machine.m.kmem[KMEM_MM].base + r
        self.machine.tasks[child.pid] = (r, own if name is None else str(name), self.pid)
        return Process(self.machine, child.pid)

    def exec(self):
        """execve(2): a fresh address space with a stack."""
        self._call("exec", op_exec, 0, 0, 0)

    def exit(self):
        """exit(2): everything of it is unmapped; handles to it and its VMAs are gone."""
        cdef uint64_t a[1]
        a[0] = <uint64_t>self.mm()
        self.machine.run_op(op_exit, a)
        if not (<mm_struct*>a[0]).in_use or (<mm_struct*>a[0]).pid != self.pid or (<mm_struct*>a[0]).mm_users == 0:
            del self.machine.tasks[self.pid]

    # ------------------------------------------------------------ accesses
    def access(self, addresses, kind="r"):
        """Accesses an array of addresses in order; ``kind`` is ``"r"``, ``"w"``, ``"x"`` or an array of 0, 1, 2 of the same length.

        Runs without the GIL. Raises SegmentationFault, BusError or OutOfMemory at the first access that cannot be done, with how many
        were done as its attribute ``completed``.
        """
        cdef int kind0 = 0
        cdef const uint8_t[::1] kinds
        cdef const uint8_t* kp = NULL
        cdef const uint64_t[::1] va = address_array(addresses)
        if isinstance(kind, str):
            if kind not in _KINDS:
                raise ValueError(f"kind={kind!r}: expected 'r', 'w' or 'x', or an array of 0, 1, 2")
            kind0 = _KINDS[kind]
        else:
            kinds = kind_array(kind, va.shape[0])
            if va.shape[0]:
                kp = &kinds[0]
        if va.shape[0]:
            self._access(&va[0], kp, kind0, va.shape[0])

    cdef int _access(self, const uint64_t* va, const uint8_t* kind, int kind0, int64_t n) except -1:
        cdef int64_t done = 0, r, chunk
        cdef int err = 0
        cdef const uint8_t* kinds
        cdef mm_struct* mm
        cdef Machine machine = self.machine
        while done < n:
            mm = self.mm()
            machine.usable()
            chunk = min(n - done, <int64_t>ACCESS_CHUNK)
            machine.busy = True
            kinds = kind
            if kind != NULL:
                kinds = kind + done
            with nogil:
                r = access_trapped(machine.m, mm, va + done, kinds, kind0, chunk, &err)
            machine.busy = False
            if r == TRAPPED or machine.block_error is not None:
                raise machine.unwound()
            done += r
            if r < chunk and err != -EINTR:
                error = machine.access_error(err, va[done], kind0 if kind == NULL else kind[done], self.pid)
                error.completed = done
                raise error
            _check_signals()
        return 0

    def read(self, address):
        """Loads from one address; returns the page's content token (0: never written)."""
        cdef uint64_t va = address_arg(address)
        cdef uint64_t* pte
        self._access(&va, NULL, 0, 1)
        pte = self._entry(va)
        return 0 if pte == NULL or not pte_present(self.machine.m.hw.fmt, pte[0]) else self.machine.m.token[pte_pfn(self.machine.m.hw.fmt,
            pte[0])]

    def write(self, address, token=None):
        """Stores to one address; the page's content becomes the token, if one is given."""
        cdef uint64_t va = address_arg(address), content = 0
        cdef uint64_t* pte
        if token is not None:
            content = address_arg(token)
        self._access(&va, NULL, 1, 1)
        if token is not None:
            pte = self._entry(va)
            if pte != NULL:
                self.machine.m.token[pte_pfn(self.machine.m.hw.fmt, pte[0])] = content
                self.machine.m.has_tokens |= content != 0

cdef int _check_signals() except -1:
    PyErr_CheckSignals()
    return 0


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef uint64_t _length(object length) except? 0xffffffffffffffff:
    size = parse_size(length, "length")
    if size >= 1 << 63:
        raise ValueError(f"length={length!r}: too large")
    return size
