# SPDX-License-Identifier: GPL-2.0-only
"""Pages, the entries that map them, files with their page cache, and what a machine counts, where nothing is ever reclaimed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .process import Mm


class Segv(Exception):
    """SIGSEGV: the page, and "MAPERR" or "ACCERR"."""


class Bus(Exception):
    """SIGBUS: the page lies past the end of the file, or is the guard page of a stack that cannot grow."""


class NoMemory(Exception):
    """ENOMEM."""


class Invalid(Exception):
    """EINVAL."""


@dataclass(eq=False)
class Page:
    """An anonymous page, or one of a file's page cache (whose content the file has)."""

    token: int = 0
    file: File | None = None
    index: int = 0
    users: set[tuple[Mm, int]] = field(default_factory=set)  # who maps it: (mm, page address)
    mlocked: bool = False
    dirty: bool = False  # PG_dirty, of regular files only
    changed: bool = False  # C of the frame's storage key, of files only

    @property
    def content(self) -> int:
        return self.token if self.file is None else self.file.content.get(self.index, 0)

    @content.setter
    def content(self, token: int) -> None:
        if self.file is None:
            self.token = token
        else:
            self.file.content[self.index] = token


@dataclass(eq=False)
class Pte:
    page: Page | None  # None: the zero page
    writable: bool = False
    dirty: bool = False  # never where storage keys have it


@dataclass(eq=False)
class World:
    """What all processes of a machine share."""

    keys: bool  # storage keys know what was changed, not entries; and nothing forbids execution
    page_bytes: int = 4096
    mms: list[Mm] = field(default_factory=list)
    files: list[File] = field(default_factory=list)  # with a name that is not closed
    events: Counter[str] = field(default_factory=Counter)
    knobs: dict[str, int] = field(default_factory=lambda: {"max_map_count": 65530})

    def living_files(self) -> list[File]:
        """The open ones, and those that something maps."""
        mapped = [v.file for mm in self.mms for v in mm.vmas.all if isinstance(v.file, File)]
        return list(dict.fromkeys(self.files + mapped))

    def pages(self) -> list[Page]:
        mapped = [pte.page for mm in self.mms for pte in mm.ptes.values() if pte.page is not None]
        return list(dict.fromkeys(mapped + [page for file in self.living_files() for page in file.cache.values()]))

    def vmstat(self) -> dict[str, int]:
        pages = self.pages()
        files = [p for p in pages if p.file is not None]
        return {
            "nr_anon_pages": len(pages) - len(files),
            "nr_mapped": sum(bool(p.users) for p in files),
            "nr_file_pages": len(files),
            "nr_shmem": sum(p.file.kind == "shmem" for p in files if p.file),
            "nr_dirty": sum(p.dirty for p in files),
            "nr_mlock": sum(p.mlocked for p in pages),
        }

    def drop_caches(self) -> None:
        for file in self.living_files():
            file.drop()

    def committed(self) -> int:
        from .vma import ACCOUNT

        files = sum(f.charged for f in self.living_files())
        return files + sum(v.pages for mm in self.mms for v in mm.vmas.all if v.flags & ACCOUNT)


@dataclass(eq=False)
class File:
    """Regular or shmem. What was written is never forgotten, cached or not."""

    world: World
    kind: str
    size: int  # bytes
    charged: int = 0  # pages that are committed for it as a whole: shared anonymous memory
    content: dict[int, int] = field(default_factory=dict)  # by page
    cache: dict[int, Page] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        return -(-self.size // self.world.page_bytes)

    def _span(self, offset: int, size: int) -> range:
        return range(offset // self.world.page_bytes, -(-(offset + size) // self.world.page_bytes)) if size else range(0)

    def get(self, index: int) -> tuple[Page, bool]:
        """The page in the cache, brought in if it takes that; and whether that was a read from the disk."""
        if index in self.cache:
            return self.cache[index], False
        page = self.cache[index] = Page(file=self, index=index)
        return page, self.kind == "regular"

    def set_dirty(self, page: Page) -> None:
        page.dirty |= self.kind == "regular"

    # ------------------------------------------------------------ system calls
    def read(self, offset: int, size: int) -> int:
        span = self._span(offset, max(0, min(size, self.size - offset)))
        for index in span:
            if self.kind == "regular":
                self.get(index)  # a hole of a shmem file stays one
        return len(span)

    def write(self, offset: int, size: int, token: int) -> int:
        span, step = self._span(offset, size), self.world.page_bytes
        for index in span:
            first, last = max(offset, index * step), min(offset + size, (index + 1) * step)
            known = index in self.cache or (last - first < step and index * step < self.size)
            page, _ = self.get(index)
            page.changed |= known  # a page that only now becomes uptodate has its key reset then
            page.content = token
            self.set_dirty(page)
            self.size = max(self.size, last)
        return len(span)

    def truncate(self, size: int) -> None:
        old, self.size = self.size, size
        if self.kind == "shmem" and size >= old:
            return
        from .vma import NONLINEAR

        first = self.pages
        for mm in self.world.mms:
            for vma in mm.vmas.all:
                if vma.file is self and vma.flags & NONLINEAR:
                    mm.zap_remapped(vma, first)
                elif vma.file is self and vma.index(vma.end) > first:
                    mm.update_hiwater_rss()
                    mm.zap(max(vma.start, vma.start + first - vma.pgoff), vma.end)
        self.cache = {i: p for i, p in self.cache.items() if i < first}
        self.content = {i: t for i, t in self.content.items() if i < first}
        if size % self.world.page_bytes and first - 1 in self.cache:
            self.cache[first - 1].changed = True

    def drop(self) -> None:
        """drop_caches: what nobody maps and the disk has too."""
        self.cache = {i: p for i, p in self.cache.items() if self.kind == "shmem" or p.users or p.dirty}

    def msync(self, offset: int, size: int) -> int:
        written = 0
        for index in self._span(offset, size):
            page = self.cache.get(index)
            if page is not None and page.dirty:
                page.dirty = False
                written += 1
                self._mkclean(page)
        return written

    def _mkclean(self, page: Page) -> None:
        """page_mkclean: the next store through a shared mapping faults again."""
        from .vma import SHARED

        if page.users:
            page.changed = False
        for mm, at in page.users:
            vma = mm.vmas.find(at)
            if vma is not None and vma.flags & SHARED:
                mm.ptes[at].writable = mm.ptes[at].dirty = False
