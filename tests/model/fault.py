# SPDX-License-Identifier: GPL-2.0-only
"""What an access does: whether it is permitted, which page a fault finds or makes, what is copied. mm/memory.c of v3.2."""
from __future__ import annotations

from typing import TYPE_CHECKING

from . import anon_vma as rmap
from .mlock import Locking
from .page import Bus, File, Page, Pte, Segv
from .vma import EXEC, GROWSDOWN, LOCKED, PROT, SHARED, WRITE, Vma

if TYPE_CHECKING:
    from .anon_vma import Slab

STACK_LIMIT = 2048  # pages


class Faults(Locking):
    """The part of an address space that accesses work on."""

    slab: Slab
    elsewhere: dict[int, int]  # by address: the page of the file that an entry without a page names
    min_flt: int
    maj_flt: int

    # ------------------------------------------------------------ figures
    @property
    def rss(self) -> list[int]:
        """File pages, anonymous pages, swap entries."""
        mapped = [pte.page for pte in self.ptes.values() if pte.page is not None]
        files = sum(p.file is not None for p in mapped)
        return [files, len(mapped) - files, 0]

    def update_hiwater_rss(self) -> None:
        self.hiwater_rss = max(self.hiwater_rss, sum(self.rss))

    # ------------------------------------------------------------ entries
    def index_at(self, vma: Vma, at: int) -> int:
        """The page of its file that an address shows."""
        return self.elsewhere.get(at, vma.index(at))

    def map_page(self, at: int, page: Page | None, *, writable: bool = False, dirty: bool = False) -> None:
        self.ptes[at] = Pte(page, writable, dirty and not self.world.keys)
        if page is not None:
            page.users.add((self, at))

    def unmap_page(self, at: int) -> None:
        """An entry goes; what it, or at last the key, knows of changes reaches the file."""
        pte = self.ptes.pop(at)
        page = pte.page
        if page is None:
            return
        page.users.remove((self, at))
        if page.file is None:
            return
        if self.world.keys and not page.users and page.changed:
            page.changed = False
            page.file.set_dirty(page)
        elif pte.dirty:
            page.file.set_dirty(page)

    def zap(self, start: int, end: int) -> None:
        for at in [p for p in self.ptes if start <= p < end]:
            self.unmap_page(at)
        for at in [p for p in self.elsewhere if start <= p < end]:
            del self.elsewhere[at]

    def _stored(self, pte: Pte, token: int | None) -> None:
        page = pte.page
        assert page is not None
        if token is not None:
            page.content = token
        page.changed |= page.file is not None
        pte.dirty |= not self.world.keys

    # ------------------------------------------------------------ accesses
    def _needs(self, kind: str) -> int:
        return WRITE if kind == "w" else EXEC if kind == "x" and not self.world.keys else PROT

    def access(self, at: int, kind: str = "r", token: int | None = None) -> int:
        """Returns the content. A store without a token leaves it."""
        vma = self.vmas.find(at)
        pte = self.ptes.get(at)
        if pte is None or vma is None or not vma.flags & self._needs(kind) or (kind == "w" and not pte.writable):
            self._page_fault(at, kind)
            pte = self.ptes[at]
        if kind == "w":
            self._stored(pte, token)
        return pte.page.content if pte.page is not None else 0

    def _page_fault(self, at: int, kind: str) -> None:
        vma = self.vmas.find(at) or self._grow_stack(at)
        if not vma.flags & self._needs(kind):
            raise Segv(at, "ACCERR")
        self.handle_fault(vma, at, kind == "w")

    def _grow_stack(self, at: int) -> Vma:
        vma = next((v for v in self.vmas.all if v.end > at), None)
        if vma is None or not vma.flags & GROWSDOWN:
            raise Segv(at, "MAPERR")
        if not self.expand_stack(vma, at):
            raise Segv(at, "MAPERR")
        return vma

    def expand_stack(self, vma: Vma, at: int) -> bool:
        self.prepare(vma)
        pages = vma.start - at
        if at < vma.start:
            if vma.end - at > STACK_LIMIT or self.vmas.overlapping(at, vma.start):
                return False
            vma.start, vma.pgoff = at, vma.pgoff - pages
            self.locked_vm += pages if vma.flags & LOCKED else 0
        return True

    def prepare(self, vma: Vma) -> None:
        if vma.anon_vma is None:
            rmap.prepare(self.slab, vma, self.vmas.mergeable_anon_vma(vma))

    def handle_fault(self, vma: Vma, at: int, write: bool) -> None:
        """handle_mm_fault, and its caller's count of what kind of fault it was."""
        self.world.events["pgfault"] += 1
        pte = self.ptes.get(at)
        if pte is not None:
            if write:
                self._wp_fault(vma, at, pte)
            major = False
        elif vma.file is None:
            self._anonymous_fault(vma, at, write)
            major = False
        else:
            major = self._file_fault(vma, at, write)
        if major:
            self.maj_flt += 1
        else:
            self.min_flt += 1

    def _new_anon(self, vma: Vma, at: int, token: int) -> None:
        page = Page(token, mlocked=bool(vma.flags & LOCKED))
        self.map_page(at, page, writable=bool(vma.flags & WRITE), dirty=True)

    def _anonymous_fault(self, vma: Vma, at: int, write: bool) -> None:
        if vma.flags & GROWSDOWN and at == vma.start:
            below = self.vmas.find(at - 1)
            if below is None:
                self.expand_stack(vma, at - 1)
            elif not below.flags & GROWSDOWN:
                raise Bus(at)
        if not write:
            self.map_page(at, None)
            return
        self.prepare(vma)
        self._new_anon(vma, at, 0)

    def _file_fault(self, vma: Vma, at: int, write: bool) -> bool:
        private_store = write and not vma.flags & SHARED
        if private_store:
            self.prepare(vma)  # before the file is asked, which may have no such page
        file, index = vma.file, self.index_at(vma, at)
        assert isinstance(file, File)
        if index >= file.pages:
            raise Bus(at)
        page, major = file.get(index)
        self.world.events["pgmajfault"] += major
        if private_store:
            self._new_anon(vma, at, page.content)
            return major
        if write:
            file.set_dirty(page)
        self.elsewhere.pop(at, None)
        self.map_page(at, page, writable=write or self.born_writable(vma), dirty=write)
        return major

    @staticmethod
    def born_writable(vma: Vma) -> bool:
        """A shared mapping whose file need not hear of stores."""
        return vma.flags & (SHARED | WRITE) == SHARED | WRITE and isinstance(vma.file, File) and vma.file.kind == "shmem"

    def _wp_fault(self, vma: Vma, at: int, pte: Pte) -> None:
        """do_wp_page."""
        page = pte.page
        if page is not None and page.file is None and len(page.users) == 1:
            pte.writable = True
            return
        if page is not None and page.file is not None and vma.flags & SHARED:
            page.file.set_dirty(page)
            pte.writable = True
            return
        self.prepare(vma)
        self.unmap_page(at)
        self._new_anon(vma, at, page.content if page is not None else 0)
        if page is not None and vma.flags & LOCKED:
            self.munlock_page(page, len(page.users), held=False)
