# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Process: fork, exec, exit and memory accesses of one address space. Kernel: the sys_* functions.
# Its mappings are process_map.pyx, what there is to see of it process_view.pyx. Differs: no threads, one process per mm.
from libc.errno cimport ENOMEM, EINTR
from libc.stdint cimport uint64_t, int64_t, uint32_t, uint8_t
from rmapemu.hw.pte cimport pte_present, pte_pfn
from rmapemu.machine.base cimport ACCESS_CHUNK, TRAPPED, errno_error
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.process_map cimport ProcessMap
from rmapemu.machine.process_view cimport address_arg
from rmapemu.mm.fork cimport dup_mm, exec_mmap, mmput
from rmapemu.mm.lock cimport rm_setjmp
from rmapemu.mm.memory cimport do_page_fault
from rmapemu.mm.types cimport *

from rmapemu.machine.arrays import address_array, kind_array
from rmapemu.machine.sizes import parse_size


# ---------------------------------------------------------------- operations: a[0] is the mm
cdef int64_t op_fork(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* child
    m.current = <mm_struct*>a[0]
    child = dup_mm(m, <mm_struct*>a[0])
    return -ENOMEM if child == NULL else <int64_t>(child - <mm_struct*>m.kmem[KMEM_MM].base)


cdef int64_t op_exec(machine* m, const uint64_t* a) noexcept nogil:
    m.current = <mm_struct*>a[0]
    return exec_mmap(m, <mm_struct*>a[0], a[1])


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


cdef class Process(ProcessMap):
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

    def exec(self, *, stack_shift=0):
        """execve(2): a fresh address space with a stack, ``stack_shift`` bytes (whole pages, at most 16 GiB) below the top: by so much
        the temporary stack is moved down, as address randomisation would have it.
        """
        shift = parse_size(stack_shift, "stack_shift")
        if shift % self.machine.page_size or shift > 1 << 34:
            raise ValueError(f"stack_shift={stack_shift!r}: expected whole pages of at most {1 << 34} bytes")
        self._call("exec", op_exec, shift, 0, 0)

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
