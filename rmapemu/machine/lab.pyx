# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench: its state as data, failing allocations, life after death; and all that it inherits.
# Kernel: none of it; lib/fault-inject.c for fail_alloc.
from rmapemu.machine.lab_lock cimport LabLock
from rmapemu.machine.process_view cimport mm_arg
from rmapemu.mm.lock cimport release_all
from rmapemu.mm.types cimport *

from rmapemu.machine.names import KMEM
from rmapemu.machine.sizes import parse_int, pick
from rmapemu.machine.state import rmap_state


cdef class Lab(LabLock):
    """The workbench: any state built by hand, raw. What it does costs nothing and is no event; its own allocations never fail by order.

    >>> from rmapemu import Machine
    >>> m = Machine(memory="16M")
    >>> lab = m.lab
    >>> mm, page = lab.mm(), lab.page()
    >>> vma = lab.vma(mm, 0x3000, 1)
    >>> m.rmap.anon_vma_prepare(vma)
    >>> m.rmap.page_add_new_anon_rmap(page, vma, 0x3000)
    >>> lab.set_pte(mm, 0x3000, page, write=True).pfn == page.pfn
    True
    >>> m.rmap.page_address_in_vma(page, vma) == 0x3000
    True
    """

    def state(self):
        """What the reverse map reads and changes, as fresh dicts and lists: cheaper than Machine.dump(), and of a KernelBug's state too."""
        return rmap_state(self.machine)

    # ------------------------------------------------------------ memory
    def fail_alloc(self, nth, count=1, kind=None, gfp=0):
        """The nth matching allocation from now, and count in all, fail; ``kind`` is a name or several (None: all), ``gfp`` bits that the
        call must have. nth=0: off. Returns how many failed so far.
        """
        cdef fail_rule* rule
        cdef int number
        self.open()
        rule = &self.machine.m.fail
        nth, count = parse_int(nth, "nth", -(1 << 31), (1 << 31) - 1), parse_int(count, "count", -(1 << 31), (1 << 31) - 1)
        if nth < 0 or count < 1:
            raise ValueError(f"nth={nth}, count={count}: expected nth of at least 0 and count of at least 1")
        names = KMEM if kind is None else (kind,) if isinstance(kind, str) else tuple(kind)
        mask = 0
        for name in names:
            number = KMEM.index(pick(name, KMEM, "kind"))
            mask |= 1 << number
        rule.nth = nth
        rule.count = count
        rule.kind_mask = mask
        rule.gfp_mask = parse_int(gfp, "gfp", 0, 0xffffffff)
        return rule.failed

    def slab_reuse(self, str mode):
        """``"lifo"``: the object freed last is reused first. ``"none"``: none is reused."""
        self.open()
        self.machine.m.slab_reuse = pick(mode, ("lifo", "none"), "mode") == "lifo"

    def swap_writeok(self, type, on):
        """Whether new slots may be taken from an area."""
        cdef swap_info_struct* si
        self.open()
        t, _ = self._slot(type, 1)
        si = &self.machine.m.swap_info[<int>t]
        si.flags = si.flags | SWP_WRITEOK if on else si.flags & ~SWP_WRITEOK

    def mmlist(self, mm):
        """Is the mm on the list of those with swapped pages?"""
        cdef mm_struct* to
        self.open()
        to = mm_arg(self.machine, mm)
        return to.mmlist_prev != NULL or self.machine.m.mmlist_head == to

    def mmlist_add(self, mm):
        """Puts the mm first on the list of those with swapped pages."""
        cdef mm_struct* to
        cdef machine* m
        self.open()
        m = self.machine.m
        to = mm_arg(self.machine, mm)
        if to.mmlist_prev != NULL or m.mmlist_head == to:
            raise ValueError(f"{mm!r} is on the mmlist already")
        to.mmlist_next = m.mmlist_head
        if to.mmlist_next != NULL:
            to.mmlist_next.mmlist_prev = to
        m.mmlist_head = to

    def mmlist_remove(self, mm):
        """Takes the mm off that list."""
        cdef mm_struct* to
        cdef machine* m
        self.open()
        m = self.machine.m
        to = mm_arg(self.machine, mm)
        if to.mmlist_prev == NULL and m.mmlist_head != to:
            raise ValueError(f"{mm!r} is not on the mmlist")
        if to.mmlist_prev != NULL:
            to.mmlist_prev.mmlist_next = to.mmlist_next
        else:
            m.mmlist_head = to.mmlist_next
        if to.mmlist_next != NULL:
            to.mmlist_next.mmlist_prev = to.mmlist_prev
        to.mmlist_next = NULL
        to.mmlist_prev = NULL

    # ------------------------------------------------------------ after a KernelBug
    def revive(self):
        """The machine goes on after a KernelBug, its locks dropped; the state is as it was at the BUG."""
        self.open()
        release_all(self.machine.m)
        self.machine.m.dead = 0
        self.machine.m.bug.kind = BUG_NONE
