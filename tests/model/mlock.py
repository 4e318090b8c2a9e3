# SPDX-License-Identifier: GPL-2.0-only
"""Locked memory: which pages are brought in, which are mlocked, and what keeps one so. mm/mlock.c of v3.2."""
from __future__ import annotations

from .page import Bus, NoMemory, Page, Pte, World
from .vma import GROWSDOWN, LOCKED, NONLINEAR, PROT, SHARED, WRITE, Vma, Vmas


class Locking:
    """The part of an address space that mlock is about."""

    vmas: Vmas
    ptes: dict[int, Pte]
    world: World
    locked_vm: int
    def_flags: int

    def handle_fault(self, vma: Vma, at: int, write: bool) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ bringing in
    def get_pages(self, vma: Vma, start: int, end: int, *, mlock: bool) -> bool:
        """get_user_pages; False: a page could not be had, and none behind it was looked at."""
        write = vma.flags & (WRITE | SHARED) == WRITE
        if not vma.flags & PROT:
            return False
        for at in range(start, end):
            below = self.vmas.find(at - 1)
            if vma.flags & GROWSDOWN and at == vma.start and (below is None or not below.flags & GROWSDOWN):
                continue  # the guard page
            while at not in self.ptes or (write and not self.ptes[at].writable):
                try:
                    self.handle_fault(vma, at, write)
                except Bus:
                    return False
            page = self.ptes[at].page
            if mlock and page is not None and vma.flags & LOCKED:
                page.mlocked = True
        return True

    # ------------------------------------------------------------ letting go
    def munlock_page(self, page: Page, mapcount: int, *, held: bool) -> None:
        """Another locked mapping keeps it, if its mmap_sem can be had; a page mapped once is not asked about, a nonlinear VMA neither."""
        if not page.mlocked:
            return
        page.mlocked = mapcount > 1 and any(
            bool((vma := mm.vmas.find(at)) and vma.flags & (LOCKED | NONLINEAR) == LOCKED) and not (held and mm is self)
            for mm, at in page.users
        )

    def munlock_range(self, vma: Vma, start: int, end: int, *, held: bool) -> None:
        """`held`: this address space's mmap_sem is held for writing, so that its own other mappings keep nothing."""
        vma.flags &= ~LOCKED
        for at in range(start, end):
            pte = self.ptes.get(at)
            if pte is not None and pte.page is not None:
                self.munlock_page(pte.page, len(pte.page.users), held=held)

    # ------------------------------------------------------------ system calls
    def _relabel(self, start: int, end: int, lock: bool) -> None:
        for vma, first, last, _ in self.vmas.change(start, end, lambda v: v.flags | LOCKED if lock else v.flags & ~LOCKED):
            self.locked_vm += last - first if lock else first - last
            if not lock:
                self.munlock_range(vma, first, last, held=True)

    def mlock(self, start: int, end: int) -> None:
        self._relabel(start, end, lock=True)
        if not self.vmas.covered(start, end):
            raise NoMemory
        for vma in self.vmas.overlapping(start, end):
            if not self.get_pages(vma, max(start, vma.start), min(end, vma.end), mlock=True):
                raise NoMemory

    def munlock(self, start: int, end: int) -> None:
        self._relabel(start, end, lock=False)
        if not self.vmas.covered(start, end):
            raise NoMemory

    def mlockall(self, *, current: bool, future: bool) -> None:
        self.def_flags = LOCKED if future else 0
        if not current:
            return
        self._relabel_all(lock=True)
        for vma in list(self.vmas.all):
            self.get_pages(vma, vma.start, vma.end, mlock=True)

    def munlockall(self) -> None:
        self.def_flags = 0
        self._relabel_all(lock=False)

    def _relabel_all(self, *, lock: bool) -> None:
        at = 0
        while (vma := next((v for v in self.vmas.all if v.start >= at), None)) is not None:
            at = vma.end
            self._relabel(vma.start, vma.end, lock)
