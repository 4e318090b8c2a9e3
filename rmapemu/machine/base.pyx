# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# MachineBase: the owner of one struct machine, and the funnel: calls into mm/ on one side, exceptions on the other.
# Kernel: nothing of it. Every call into mm/ goes through `trapped`, which is where BUG_ON unwinds to.
import os

from libc.errno cimport ENOMEM
from libc.stdint cimport uint64_t, int64_t, uint32_t
from rmapemu.hw.costs cimport *
from rmapemu.mm.lock cimport NO_LEAF, rm_setjmp
from rmapemu.mm.machine cimport machine_destroy
from rmapemu.mm.memory cimport FAULT_SIGSEGV_MAPERR, FAULT_SIGSEGV_ACCERR, FAULT_SIGBUS_ADRERR, FAULT_SIGBUS_HWPOISON, FAULT_WOULD_BLOCK
from rmapemu.mm.types cimport *

from rmapemu.errors import BusError, BusyError, GoneError, KernelBug, LockOrderError, OutOfMemory, SegmentationFault, WouldBlock
from rmapemu.machine.names import BUGS
from rmapemu.mm.vmstat import LOCK_NAMES


cdef int64_t trapped(machine* m, op_t op, const uint64_t* a) noexcept nogil:
    """Runs the operation; TRAPPED where BUG_ON or a lock that cannot be had unwound it."""
    cdef int64_t r
    if rm_setjmp(m.trap) != 0:
        return TRAPPED
    m.trap_set = 1
    r = op(m, a)
    m.trap_set = 0
    return r


cdef object errno_error(int64_t code, object what):
    return OSError(<int>-code, f"{what}: {os.strerror(<int>-code)}" if what else os.strerror(<int>-code))


cdef class MachineBase:
    """What a Machine is made of; see Machine."""

    def __cinit__(self):
        self.m = NULL
        self.avcs = {}
        self.notifiers = {}

    def __dealloc__(self):
        if self.m != NULL:
            machine_destroy(self.m)
            self.m = NULL

    cdef int readable(self) except -1:
        if self.m == NULL:
            raise ValueError("the machine is closed")
        return 0

    cdef int usable(self) except -1:
        if self.m == NULL:
            raise ValueError("the machine is closed")
        if self.m.dead:
            raise self.unwound()
        if self.busy:
            raise BusyError("the machine is running an operation: one machine serves one thread at a time")
        return 0

    cdef int64_t run_op(self, op_t op, const uint64_t* a) except? TRAPPED:
        cdef int64_t r
        self.usable()
        self.busy = True
        with nogil:
            r = trapped(self.m, op, a)
        self.busy = False
        if r == TRAPPED:
            raise self.unwound()
        if self.block_error is not None:
            raise self._taken_error()
        return r

    cdef int64_t call(self, op_t op, const uint64_t* a) except? TRAPPED:
        cdef int64_t r = self.run_op(op, a)
        if r < 0:
            raise errno_error(r, "")
        return r

    def _taken_error(self):
        error, self.block_error = self.block_error, None
        return error

    cdef object unwound(self):
        cdef bug_t* b = &self.m.bug
        if self.block_error is not None:
            return self._taken_error()
        if b.kind == BUG_WOULD_BLOCK:
            owner = _owner(self.m, b.lock_class, b.object)
            if b.lock_class == LOCK_PTL and self.m.waited_va != NO_LEAF:
                owner = f"the leaf table at {self.m.waited_va:#x} of {owner}"
            return WouldBlock(LOCK_NAMES[b.lock_class], owner)
        if b.kind == BUG_LOCK_ORDER:
            return LockOrderError(LOCK_NAMES[b.lock_class], LOCK_NAMES[b.lock_held])
        condition = b.condition.decode() if b.condition != NULL else ""
        if b.kind == BUG_DEADLOCK:
            condition = f"{LOCK_NAMES[b.lock_class]} of {_owner(self.m, b.lock_class, b.object)} is held already"
        return KernelBug(BUGS[b.kind], condition, b.function.decode() if b.function != NULL else "")

    cdef object access_error(self, int64_t code, uint64_t va, int kind, uint32_t pid):
        letter = "rwx"[kind]
        if code == FAULT_SIGSEGV_MAPERR or code == FAULT_SIGSEGV_ACCERR:
            return SegmentationFault(va, "MAPERR" if code == FAULT_SIGSEGV_MAPERR else "ACCERR", pid, letter)
        if code == FAULT_SIGBUS_ADRERR or code == FAULT_SIGBUS_HWPOISON:
            return BusError(va, "ADRERR" if code == FAULT_SIGBUS_ADRERR else "HWPOISON", pid, letter)
        if code == FAULT_WOULD_BLOCK:
            return WouldBlock("migration entry", f"{va:#x} of process {pid}")
        if code == -ENOMEM:
            return OutOfMemory(self.lists())
        return errno_error(code, f"{va:#x}")

    cdef mm_struct* mm_of(self, uint32_t pid) except NULL:
        cdef mm_struct* mm
        self.readable()
        task = self.tasks.get(pid)
        if task is not None:
            mm = <mm_struct*>self.m.kmem[KMEM_MM].base + <uint64_t>task[0]
            if mm.in_use and mm.pid == pid:
                return mm
        raise GoneError(f"process {pid} is gone")

    cdef address_space* mapping_of(self, uint32_t ino, uint64_t generation) except NULL:
        cdef address_space* a
        self.readable()
        a = <address_space*>self.m.kmem[KMEM_MAPPING].base + ino
        if a.refs == 0 or a.ino != ino or self.file_names.get(ino, (0, None))[0] != generation:
            raise GoneError(f"file {ino} is gone")
        return a


cdef object _owner(machine* m, int lock_class, void* owner):
    """What has the lock, as text."""
    if owner == NULL:
        return "the machine"
    if lock_class == LOCK_PAGE:
        return f"page {<page*>owner - m.pages}"
    if lock_class == LOCK_MMAP_SEM or lock_class == LOCK_PTL:
        return f"process {(<mm_struct*>owner).pid}"
    if lock_class == LOCK_ANON_VMA:
        return f"anon_vma {(<anon_vma*>owner).serial}"
    if lock_class == LOCK_I_MMAP:
        return f"file {(<address_space*>owner).ino}"
    return "the machine"
