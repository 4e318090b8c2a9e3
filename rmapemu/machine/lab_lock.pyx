# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for locks: held by "someone else", waited for, held by the call that was abandoned.
# Kernel: none of it.
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from rmapemu.hw.costs cimport *
from rmapemu.machine.file cimport file_handle, mapping_arg
from rmapemu.machine.lab_notify cimport LabNotify
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.page cimport page_handle
from rmapemu.machine.process_view cimport address_arg, mm_arg
from rmapemu.machine.vma cimport vma_arg
from rmapemu.mm.lock cimport NO_LEAF, leaf_table_pfn, locks_held
from rmapemu.mm.types cimport *

from rmapemu.machine.page import Page
from rmapemu.machine.process import Process
from rmapemu.machine.sizes import pick
from rmapemu.machine.vma import Vma
from rmapemu.mm.vmstat import LOCK_NAMES

_PTL = ("ptl", "page_table_lock")
_OWNED = ("page", "mmap_sem", *_PTL, "anon_vma", "i_mmap_mutex")
_SINGLE = ("lru_lock", "swap_lock", "mmlist_lock", "private_lock", "i_lock", "bdi_list_lock", "sb_lock", "tree_lock")


cdef int ask(machine* m, int lock_class, void* owner) noexcept nogil:
    """machine.block_callback: 0 when Python's function helped. It may use the bench, and so the trap of the call that waits."""
    cdef uint8_t trap[512]
    cdef int helped
    memcpy(trap, m.trap, sizeof(trap))
    with gil:
        helped = call_python(m, lock_class, owner)
    memcpy(m.trap, trap, sizeof(trap))
    m.trap_set = 1
    return 0 if helped else -1


cdef bint call_python(machine* m, int lock_class, void* owner) noexcept:
    cdef Machine self = <Machine>m.py
    before = self.in_callback
    self.in_callback = True
    try:
        name, whose = LOCK_NAMES[lock_class], owner_handle(self, lock_class, owner)
        if lock_class == LOCK_PTL and m.waited_va != NO_LEAF:
            whose = whose, m.waited_va
        elif lock_class == LOCK_PTL and (<mm_struct*>owner).page_table_lock_other == PTL_OF_MM:
            name = "page_table_lock"
        return bool(self.block_function(name, whose))
    except BaseException as error:
        self.block_error = error
        return False
    finally:
        self.in_callback = before


cdef object owner_handle(Machine self, int lock_class, void* owner):
    """What has the lock: a Page, a Process, a File, the serial number of an anon_vma, or None."""
    if owner == NULL:
        return None
    if lock_class == LOCK_PAGE:
        return page_handle(self, <uint32_t>(<page*>owner - self.m.pages))
    if lock_class == LOCK_MMAP_SEM or lock_class == LOCK_PTL:
        return Process(self, (<mm_struct*>owner).pid)
    if lock_class == LOCK_I_MMAP:
        return file_handle(self, <address_space*>owner)
    return (<anon_vma*>owner).serial if lock_class == LOCK_ANON_VMA else None


cdef class LabLock(LabNotify):
    """Locks."""

    cdef uint32_t* _mutex(self, str lock, object owner) except NULL:
        """The state of a mutex: i_mmap_mutex of a File, anon_vma of a serial number, Page or Vma."""
        cdef vm_area_struct* v
        if lock == "i_mmap_mutex":
            return &mapping_arg(self.machine, owner).i_mmap_lock
        serial = owner
        if isinstance(owner, Page):
            serial = owner.anon_vma
        elif isinstance(owner, Vma):
            v = vma_arg(self.machine, owner)
            serial = v.anon_vma.serial if v.anon_vma != NULL else None
        if serial is None:
            raise ValueError(f"{owner!r} has no anon_vma")
        return &self.av(serial).root.lock

    cdef bint _ptl(self, str lock, object owner, bint hold) except -1:
        """Page table locks, as `hold` names them: was it held by someone else?"""
        cdef machine* m = self.machine.m
        cdef mm_struct* mm
        cdef uint32_t pfn
        cdef bint held
        cdef uint8_t what = PTL_OF_MM if lock == "page_table_lock" else PTL_ALL
        process, address = owner if isinstance(owner, tuple) and len(owner) == 2 and what == PTL_ALL else (owner, None)
        mm = mm_arg(self.machine, process)
        if hold and mm.page_table_lock == LOCK_HELD:
            return True
        if address is None or not m.config.split_ptlocks:
            held = mm.page_table_lock_other != PTL_NONE if hold else mm.page_table_lock_other == what
            if hold != held:
                mm.page_table_lock_other = what if hold else PTL_NONE
            return held
        pfn = leaf_table_pfn(m, mm, address_arg(address))
        if pfn == 0:
            raise ValueError(f"address={address:#x}: {process!r} has no page table there")
        held = m.pages[pfn].private == LOCK_OTHER
        if hold != held:
            m.pages[pfn].private = LOCK_OTHER if hold else LOCK_FREE
        return held

    cdef bint _single(self, str lock, object owner, bint hold) except -1:
        """A lock that is one of a kind: done with it?"""
        cdef uint32_t bit
        self.open()
        pick(lock, _OWNED + _SINGLE, "lock")
        if lock in _OWNED:
            return False
        if owner is not None:
            raise ValueError(f"{lock} is one of a kind: it has no owner")
        bit = <uint32_t>1 << <int>LOCK_NAMES.index(lock)
        if hold == ((self.machine.m.other_mask & bit) != 0):
            raise ValueError(f"{lock} is held already" if hold else f"{lock} is not held by someone else")
        self.machine.m.other_mask ^= bit
        self.machine.m.nr_held_other += 1 if hold else -1
        return True

    def hold(self, str lock, owner=None, str mode="w"):
        """Marks a lock as held by someone else: ``"page"`` of a Page, ``"mmap_sem"`` (mode r or w) of a Process, ``"i_mmap_mutex"`` of a
        File, ``"anon_vma"`` of a Page, Vma or serial number (the root's lock, as all of a tree's are); ``"ptl"`` of a Process: all of its
        page table locks, or of ``(Process, address)``: that of the leaf table there; ``"page_table_lock"`` of a Process: with
        split_ptlocks that one alone; or one of which there is one only: ``"lru_lock"``, ``"swap_lock"``, ``"mmlist_lock"``,
        ``"tree_lock"`` and so on.
        """
        cdef mm_struct* mm
        pick(mode, ("r", "w"), "mode")
        if self._single(lock, owner, True):
            return
        if lock == "page":
            p = self._page(owner)
            if p.flags & PG_locked:
                raise ValueError(f"{owner!r} is locked already")
            p.flags |= PG_locked | PG_locked_other
        elif lock == "mmap_sem":
            mm = mm_arg(self.machine, owner)
            if mm.mmap_sem != 0 or mm.mmap_sem_other != 0:
                raise ValueError(f"mmap_sem of {owner!r} is held already")
            mm.mmap_sem_other = 1 if mode == "r" else 2
        elif lock in _PTL:
            if self._ptl(lock, owner, True):
                raise ValueError(f"{lock} of {owner!r} is held already")
        else:
            state = self._mutex(lock, owner)
            if state[0] != LOCK_FREE:
                raise ValueError(f"{lock} of {owner!r} is held already")
            state[0] = LOCK_OTHER
        self.machine.m.nr_held_other += 1

    def release(self, str lock, owner=None):
        """The other one releases what `hold` took for it."""
        cdef mm_struct* mm
        if self._single(lock, owner, False):
            return
        if lock == "page":
            p = self._page(owner)
            held = p.flags & PG_locked_other
            if held:
                p.flags &= ~<uint32_t>(PG_locked | PG_locked_other)
        elif lock == "mmap_sem":
            mm = mm_arg(self.machine, owner)
            held = mm.mmap_sem_other
            mm.mmap_sem_other = 0
        elif lock in _PTL:
            held = self._ptl(lock, owner, False)
        else:
            state = self._mutex(lock, owner)
            held = state[0] == LOCK_OTHER
            if held:
                state[0] = LOCK_FREE
        if not held:
            raise ValueError(f"{lock} of {owner!r} is not held by someone else")
        self.machine.m.nr_held_other -= 1

    def lock_page(self, page):
        """Takes PG_locked as the caller of a function of the reverse map has to."""
        p = self._page(page)
        if p.flags & PG_locked:
            raise ValueError(f"{page!r} is locked already")
        p.flags |= PG_locked

    def unlock_page(self, page):
        """Drops PG_locked."""
        p = self._page(page)
        p.flags &= ~<uint32_t>PG_locked

    def on_block(self, function):
        """What runs when a blocking lock is waited for: ``function(lock, owner)``, as `release` takes them (of a leaf table's lock the
        owner is ``(Process, address)`` of the table's beginning), true when it had the lock released. It may use the bench only. What it
        raises comes out of the operation that waited. None: WouldBlock is raised.
        """
        self.open()
        if function is not None and not callable(function):
            raise TypeError(f"{function!r} is not callable")
        self.machine.block_function = function
        if function is None:
            self.machine.m.block_callback = NULL
        else:
            self.machine.m.block_callback = ask

    def locks_held(self):
        """What the running (or abandoned) operation holds, in the order of the lock classes: (lock, owner)."""
        cdef held_lock held[NR_LOCK_CLASSES + MAX_LOCK_DEPTH]
        self.machine.readable()
        return [(LOCK_NAMES[held[i].lock_class], owner_handle(self.machine, held[i].lock_class, held[i].object))
                for i in range(locks_held(self.machine.m, held))]
