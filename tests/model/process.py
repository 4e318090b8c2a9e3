# SPDX-License-Identifier: GPL-2.0-only
"""One address space: what its accesses return, fault and share, and its system calls. Where nothing is reclaimed, exact.

Content is a number a page. Where pages are reclaimed, content, errors, VMAs and who shares what stay as they are here.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from . import anon_vma as rmap
from .fremap import Remapping
from .page import File, NoMemory, Pte, World
from .vma import ACCOUNT, GROWSDOWN, LOCKED, NONLINEAR, NORESERVE, PROT, READ, SHARED, WRITE, Vma, Vmas

if TYPE_CHECKING:
    from .anon_vma import Slab

STACK_ROOM, HEAP = 32, 1 << 18  # pages


class Mm(Remapping):
    def __init__(self, world: World, slab: Slab, top: int) -> None:
        self.world, self.slab, self.top = world, slab, top
        self.min_flt = self.maj_flt = 0
        self._fresh()
        world.mms.append(self)

    def _fresh(self) -> None:
        self.vmas = Vmas(self.slab, self.world)
        self.ptes: dict[int, Pte] = {}
        self.elsewhere: dict[int, int] = {}
        self.def_flags = self.locked_vm = self.hiwater_rss = self.hiwater_vm = 0
        self.start_brk = self.brk_at = HEAP * self.world.page_bytes

    # ------------------------------------------------------------ figures
    @property
    def total_vm(self) -> int:
        return sum(v.pages for v in self.vmas.all)

    # ------------------------------------------------------------ content
    def behind(self, at: int) -> int:
        """The content that a first access of the page would find."""
        vma = self.vmas.find(at)
        return vma.file.content.get(self.index_at(vma, at), 0) if vma is not None and isinstance(vma.file, File) else 0

    def peek(self, at: int) -> int:
        """The content of a page, whoever may read it."""
        page = self.ptes[at].page if at in self.ptes else None
        return page.content if page is not None else self.behind(at)

    # ------------------------------------------------------------ mappings
    def many(self) -> bool:
        return len(self.vmas.all) > self.world.knobs["max_map_count"]

    def munmap(self, start: int, end: int) -> None:
        before = self.total_vm
        self.vmas.cut(start, end)
        gone = self.vmas.overlapping(start, end)
        if not gone:
            return
        for vma in gone:
            if vma.flags & LOCKED:
                self.locked_vm -= vma.pages
                self.munlock_range(vma, vma.start, vma.end, held=True)
        self.hiwater_vm = max(self.hiwater_vm, before)
        self.update_hiwater_rss()
        self.zap(start, end)
        for vma in gone:
            self.vmas.drop(vma)

    def mmap(self, start: int, end: int, flags: int, file: File | None = None, pgoff: int = 0, populate: bool = False) -> None:
        """MAP_FIXED. Shared without a file: a file of its own."""
        if self.many():
            raise NoMemory
        self.munmap(start, end)
        flags |= self.def_flags
        if flags & SHARED and file is None:
            pages = end - start
            vma = self.vmas.insert(start, end, flags, File(self.world, "shmem", pages * self.world.page_bytes, pages), 0)
        else:
            vma = self.vmas.map(start, end, flags, file, start if file is None else pgoff)
        if flags & LOCKED:
            self.locked_vm += end - start
            self.get_pages(vma, start, end, mlock=True)
        elif populate:
            self.get_pages(vma, start, end, mlock=False)

    def mprotect(self, start: int, end: int, prot: int) -> None:
        for vma, first, last, _ in self.vmas.change(start, end, lambda vma: _protected(vma, prot)):
            born = self.born_writable(vma)
            accounted = vma.flags & (SHARED | WRITE) == SHARED | WRITE
            for at, pte in self.ptes.items():
                if first <= at < last:
                    pte.writable = born or (accounted and pte.dirty)
        if not self.vmas.covered(start, end):
            raise NoMemory

    def brk(self, address: int) -> int:
        new, old = (-(-a // self.world.page_bytes) for a in (address, self.brk_at))
        if address < self.start_brk:
            return self.brk_at
        if new > old:
            if self.vmas.overlapping(old, new + 1) or self.many():
                return self.brk_at
            self._heap(old, new)
        elif new < old:
            try:
                self.munmap(new, old)
            except NoMemory:
                return self.brk_at
        self.brk_at = address
        return address

    def _heap(self, start: int, end: int) -> None:
        vma = self.vmas.map(start, end, READ | WRITE | self.def_flags, None, start)
        if vma.flags & LOCKED:
            self.locked_vm += end - start
            self.get_pages(vma, start, end, mlock=True)

    # ------------------------------------------------------------ life
    def fork(self) -> Mm:
        child = Mm(self.world, self.slab, self.top)
        child.start_brk, child.brk_at = self.start_brk, self.brk_at
        for vma in self.vmas.all:
            new = Vma(vma.start, vma.end, vma.flags & ~LOCKED, vma.pgoff, vma.file)
            rmap.fork(self.slab, new, vma)
            child.vmas.add(new)
            if vma.flags & NONLINEAR:
                self.copy_remapped(child, vma)
            elif vma.anon_vma is not None:  # else the child's faults find all again
                self._copy_entries(child, vma)
        child.hiwater_rss, child.hiwater_vm = sum(child.rss), child.total_vm
        return child

    def _copy_entries(self, child: Mm, vma: Vma) -> None:
        for at in [p for p in self.ptes if vma.start <= p < vma.end]:
            pte = self.ptes[at]
            pte.writable = False
            child.map_page(at, pte.page, dirty=pte.dirty)

    def exec(self, shift: int = 0) -> None:
        """`shift`: pages by which the stack is moved down once the arguments are in it; they stay the pages that they were."""
        self._leave()
        self._fresh()
        at = self.top - 1
        vma = self.vmas.insert(at, self.top, READ | WRITE | GROWSDOWN | ACCOUNT, None, at)
        faults = self.min_flt
        self.handle_fault(vma, at, write=True)
        self.min_flt = faults  # the arguments are copied in before it is anybody's address space
        vma.start, vma.end = vma.start - shift, vma.end - shift
        self._move_entry(at, at - shift)
        self.expand_stack(vma, vma.start - STACK_ROOM)

    def _move_entry(self, old: int, new: int) -> None:
        pte = self.ptes[new] = self.ptes.pop(old)
        assert pte.page is not None
        pte.page.users = {(self, new)}

    def exit(self) -> None:
        self._leave()
        self.world.mms.remove(self)

    def _leave(self) -> None:
        """exit_mmap, which nobody else can look at any more: mmap_sem is not taken."""
        for vma in self.vmas.all:
            if vma.flags & LOCKED:
                self.munlock_range(vma, vma.start, vma.end, held=False)
        self.zap(0, 1 << 64)
        for vma in list(self.vmas.all):
            self.vmas.drop(vma)


def _protected(vma: Vma, prot: int) -> int:
    """The flags that mprotect wants: private memory that becomes writable is committed, for good."""
    flags = vma.flags & ~PROT | prot
    if flags == vma.flags or not flags & WRITE or vma.flags & (ACCOUNT | WRITE | SHARED | NORESERVE):
        return flags
    return flags | ACCOUNT
