# SPDX-License-Identifier: GPL-2.0-only
"""Processes over the modelled VMAs: what reads return, what writes copy, which accesses are refused.

Content is a number a page. An anonymous page is shared by the (mm, page) pairs in its `users`, swapped out or not.
"""
from __future__ import annotations

from dataclasses import dataclass, field

from . import anon_vma as rmap
from .anon_vma import Slab
from .vma import EXEC, PROT, READ, SHARED, WRITE, Vma, Vmas


class Segv(Exception):
    """SIGSEGV: the page, and "MAPERR" or "ACCERR"."""


class Bus(Exception):
    """SIGBUS: the page lies past the end of the file."""


@dataclass(eq=False)
class File:
    """Regular or shmem: content by page, and a size in pages."""

    kind: str
    pages: int
    content: dict[int, int] = field(default_factory=dict)


@dataclass(eq=False)
class Anon:
    """An anonymous page: its content, and who shares it."""

    token: int = 0
    users: set[tuple[Mm, int]] = field(default_factory=set)


class Mm:
    def __init__(self, slab: Slab) -> None:
        self.slab = slab
        self.vmas = Vmas(slab)
        self.anon: dict[int, Anon] = {}  # page -> its own or shared anonymous page

    # ------------------------------------------------------------ accesses
    def _permitted(self, page: int, need: int) -> Vma:
        vma = self.vmas.find(page)
        if vma is None:
            raise Segv(page, "MAPERR")
        if not vma.flags & need:
            raise Segv(page, "ACCERR")
        return vma

    def _file_page(self, vma: Vma, page: int) -> tuple[File, int] | None:
        if vma.file is None:
            return None
        assert isinstance(vma.file, File)
        index = vma.index(page)
        if index >= vma.file.pages:
            raise Bus(page)
        return vma.file, index

    def read(self, page: int, need: int = READ | WRITE | EXEC) -> int:
        vma = self._permitted(page, need)
        if page in self.anon:
            return self.anon[page].token
        backing = self._file_page(vma, page)
        return backing[0].content.get(backing[1], 0) if backing else 0

    def write(self, page: int, token: int) -> None:
        vma = self._permitted(page, WRITE)
        mine = self.anon.get(page)
        if mine is not None:
            self._write_anon(vma, page, mine, token)
            return
        if not vma.flags & SHARED:
            self._prepare(vma)  # before the file is asked, which may have no such page
        backing = self._file_page(vma, page)
        if backing is not None and vma.flags & SHARED:
            backing[0].content[backing[1]] = token
            return
        self.anon[page] = Anon(token, {(self, page)})

    def _write_anon(self, vma: Vma, page: int, mine: Anon, token: int) -> None:
        if len(mine.users) == 1:
            mine.token = token
            return
        self._prepare(vma)
        mine.users.remove((self, page))
        self.anon[page] = Anon(token, {(self, page)})

    def _prepare(self, vma: Vma) -> None:
        if vma.anon_vma is None:
            rmap.prepare(self.slab, vma, self.vmas.mergeable_anon_vma(vma))

    # ------------------------------------------------------------ system calls
    def _forget(self, start: int, end: int) -> None:
        for page in [p for p in self.anon if start <= p < end]:
            self.anon.pop(page).users.discard((self, page))

    def munmap(self, start: int, end: int) -> None:
        self.vmas.unmap(start, end)
        self._forget(start, end)

    def mmap(self, start: int, end: int, prot: int, shared: bool, file: File | None, pgoff: int) -> None:
        self.munmap(start, end)
        if file is None:
            pgoff = start
        self.vmas.map(start, end, prot & PROT | (SHARED if shared else 0), file, pgoff)

    def mprotect(self, start: int, end: int, prot: int) -> bool:
        return self.vmas.protect(start, end, prot)

    def fork(self) -> Mm:
        child = Mm(self.slab)
        for vma in self.vmas.all:
            new = Vma(vma.start, vma.end, vma.flags, vma.pgoff, vma.file)
            rmap.fork(self.slab, new, vma)
            child.vmas.add(new)
        for page, anon in self.anon.items():
            child.anon[page] = anon
            anon.users.add((child, page))
        return child

    def exit(self) -> None:
        self._forget(0, 1 << 62)
        for vma in list(self.vmas.all):
            self.vmas.drop(vma)
