# SPDX-License-Identifier: GPL-2.0-only
"""Pages of a file in another order than their addresses: remap_file_pages, what fork copies of it, what truncation leaves of it.

An entry without a page names the page of the file that belongs there (`elsewhere`), even if that is the linear one. mm/fremap.c of v3.2.
"""
from __future__ import annotations

from .fault import Faults
from .page import File, Invalid, Pte
from .vma import LOCKED, NONLINEAR, SHARED, Vma


class Remapping(Faults):
    def munmap(self, start: int, end: int) -> None:
        raise NotImplementedError

    def remap_file_pages(self, start: int, end: int, index: int, *, nonblock: bool) -> None:
        vma = self.vmas.find(start)
        if vma is None or end > vma.end or not vma.flags & SHARED:
            raise Invalid
        was_linear = not vma.flags & NONLINEAR
        if was_linear and index == vma.index(start):
            return
        assert isinstance(vma.file, File)
        if vma.file.kind == "regular":
            self._map_apart(vma, start, end, index)
        else:
            vma.flags |= NONLINEAR
            self._note(vma, start, end, index, held=was_linear)
            if not nonblock:
                self.get_pages(vma, start, end, mlock=bool(vma.flags & LOCKED))

    def _map_apart(self, vma: Vma, start: int, end: int, index: int) -> None:
        """Dirty pages are accounted for, and page_mkclean looks at linear places only."""
        flags, file = vma.flags, vma.file
        self.munmap(start, end)
        vma = self.vmas.map(start, end, flags, file, index)
        if flags & LOCKED:
            self.locked_vm += end - start
            self.get_pages(vma, start, end, mlock=True)

    def _note(self, vma: Vma, start: int, end: int, index: int, *, held: bool) -> None:
        """`held`: mmap_sem is, for writing; a VMA that is nonlinear already asks for less."""
        if vma.flags & LOCKED:
            self.munlock_range(vma, start, end, held=held)
            vma.flags |= LOCKED
        for at in range(start, end):
            if at in self.ptes:
                self.update_hiwater_rss()
                self.unmap_page(at)
            self.elsewhere[at] = index + at - start

    def zap_remapped(self, vma: Vma, first: int) -> None:
        """The file ends before `first`: its pages go wherever they stand, and what stood out of its place stays noted."""
        self.update_hiwater_rss()
        for at in [p for p in self.ptes if vma.start <= p < vma.end]:
            page = self.ptes[at].page
            assert page is not None
            if page.index >= first:
                self.unmap_page(at)
                if page.index != vma.index(at):
                    self.elsewhere[at] = page.index

    def copy_remapped(self, child: Remapping, vma: Vma) -> None:
        """The child's faults would not find the places by themselves; shared entries stay as writable as they are."""
        child.elsewhere |= {at: index for at, index in self.elsewhere.items() if vma.start <= at < vma.end}
        entries: list[tuple[int, Pte]] = [(at, pte) for at, pte in self.ptes.items() if vma.start <= at < vma.end]
        for at, pte in entries:
            child.map_page(at, pte.page, writable=pte.writable)
