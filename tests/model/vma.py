# SPDX-License-Identifier: GPL-2.0-only
"""VMAs of one mm as a sorted list: merging, splitting, unmapping. mm/mmap.c of v3.2 without its case numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import anon_vma as rmap
from .anon_vma import AnonVma, Slab
from .page import NoMemory, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ, WRITE, EXEC, SHARED, GROWSDOWN, LOCKED, ACCOUNT = 1, 2, 4, 8, 0x100, 0x2000, 0x100000
NORESERVE, NONLINEAR = 0x200000, 0x800000
PROT = READ | WRITE | EXEC


@dataclass(eq=False)
class Vma:
    start: int  # pages
    end: int
    flags: int
    pgoff: int
    file: object = None
    anon_vma: AnonVma | None = None
    chain: list[AnonVma] = field(default_factory=list)  # same_vma: newest first

    @property
    def pages(self) -> int:
        return self.end - self.start

    def index(self, page: int) -> int:
        return self.pgoff + page - self.start


def anon_vmas_merge(one: AnonVma | None, two: AnonVma | None, vma: Vma | None) -> bool:
    """is_mergeable_anon_vma: a VMA with a chain of one may take a stranger in; one that was cloned from a parent may not."""
    if (one is None or two is None) and (vma is None or len(vma.chain) == 1):
        return True
    return one is two


class Vmas:
    def __init__(self, slab: Slab, world: World) -> None:
        self.slab, self.world = slab, world
        self.all: list[Vma] = []

    def find(self, page: int) -> Vma | None:
        return next((v for v in self.all if v.start <= page < v.end), None)

    def overlapping(self, start: int, end: int) -> list[Vma]:
        return [v for v in self.all if v.start < end and v.end > start]

    def add(self, vma: Vma) -> None:
        self.all.append(vma)
        self.all.sort(key=lambda v: v.start)

    def drop(self, vma: Vma) -> None:
        rmap.unlink(self.slab, vma)
        self.all.remove(vma)

    # ------------------------------------------------------------ merging
    def _after(self, prev: Vma | None, start: int, flags: int, av: AnonVma | None, file: object, pgoff: int) -> bool:
        return (
            prev is not None
            and prev.end == start
            and prev.flags == flags
            and prev.file is file
            and anon_vmas_merge(av, prev.anon_vma, prev)
            and prev.pgoff + prev.pages == pgoff
        )

    def _before(self, nxt: Vma | None, end: int, flags: int, av: AnonVma | None, file: object, pgoff: int) -> bool:
        return (
            nxt is not None
            and nxt.start == end
            and nxt.flags == flags
            and nxt.file is file
            and anon_vmas_merge(av, nxt.anon_vma, nxt)
            and nxt.pgoff == pgoff
        )

    def _import(self, importer: Vma, exporter: Vma) -> None:
        if exporter.anon_vma is not None and importer.anon_vma is None:
            rmap.clone(importer, exporter)
            importer.anon_vma = exporter.anon_vma

    def merge(self, start: int, end: int, flags: int, av: AnonVma | None, file: object, pgoff: int) -> Vma | None:
        """vma_merge of [start, end), which is free or covered by one VMA: the VMA that took it in, or None."""
        before = [v for v in self.all if v.start < start]
        prev = before[-1] if before else None
        inside = next((v for v in self.all if v.start <= start and v.end > start), None)
        if inside is not None and inside.start < start:
            prev = inside
        nxt = next((v for v in self.all if v.start >= end), None)
        after = self._after(prev, start, flags, av, file, pgoff)
        ahead = self._before(nxt, end, flags, av, file, pgoff + end - start)
        if after and prev is not None:
            if ahead and nxt is not None and anon_vmas_merge(prev.anon_vma, nxt.anon_vma, None):
                return self._swallow(prev, nxt.end)
            return self._swallow(prev, end)
        if ahead and nxt is not None:
            return self._swallow_down(prev, inside, nxt, start, end)
        return None

    def _swallow(self, prev: Vma, end: int) -> Vma:
        """prev grows upwards to `end`: over whole VMAs, or over the lower part of one."""
        for v in self.overlapping(prev.end, end):
            self._import(prev, v)
            if v.end <= end:
                self.drop(v)
            else:
                v.pgoff += end - v.start
                v.start = end
        prev.end = end
        return prev

    def _swallow_down(self, prev: Vma | None, inside: Vma | None, nxt: Vma, start: int, end: int) -> Vma:
        """nxt grows downwards to `start`: over the upper part of a VMA (which shrinks), over a whole one (which stays, as the
        whole), or over nothing."""
        if inside is not None and inside.start < start:
            self._import(nxt, inside)
            inside.end = start
        elif inside is not None:
            self._import(inside, nxt)
            inside.flags, inside.end, inside.pgoff = nxt.flags, nxt.end, nxt.pgoff - (end - start)
            self.drop(nxt)
            return inside
        nxt.start = start
        nxt.pgoff -= end - start
        return nxt

    # ------------------------------------------------------------ splitting
    def limit(self, new: int) -> None:
        """There may be max_map_count of them, and one mapping more; so many splits are all to be had, or none is made."""
        if new and len(self.all) + new > self.world.knobs["max_map_count"]:
            raise NoMemory

    def split(self, vma: Vma, page: int, new_below: bool) -> Vma:
        """split_vma: the new half is the lower or the upper one; it is returned."""
        new = replace(vma, chain=[], anon_vma=vma.anon_vma)
        rmap.clone(new, vma)
        if new_below:
            new.end = page
            vma.pgoff += page - vma.start
            vma.start = page
        else:
            new.pgoff += page - vma.start
            new.start = page
            vma.end = page
        self.add(new)
        return new

    def cut(self, start: int, end: int) -> None:
        """The splits of do_munmap: no VMA crosses an end of the range any more, unless none lies in it."""
        if not self.overlapping(start, end):
            return
        first = next(v for v in self.all if v.end > start)
        if start > first.start:
            self.limit(end < first.end)  # what an unmapping makes more of in the end
            self.split(first, start, new_below=False)
        last = next((v for v in self.all if v.start < end < v.end), None)
        if last is not None:
            self.split(last, end, new_below=True)

    def map(self, start: int, end: int, flags: int, file: object, pgoff: int) -> Vma:
        """mmap_region over room that is free."""
        if flags & (WRITE | SHARED | NORESERVE) == WRITE:
            flags |= ACCOUNT
        return self.merge(start, end, flags, None, file, pgoff) or self.insert(start, end, flags, file, pgoff)

    def insert(self, start: int, end: int, flags: int, file: object, pgoff: int) -> Vma:
        vma = Vma(start, end, flags, pgoff, file)
        self.add(vma)
        return vma

    def change(self, start: int, end: int, wanted: Callable[[Vma], int]) -> Iterator[tuple[Vma, int, int, int]]:
        """The loop of mprotect and mlock: flags become wanted(VMA), piece by piece, cutting and merging.

        Yields each piece that changed: the VMA that has it now, its ends, its old flags. Ends where nothing is mapped.
        """
        at = start
        while at < end:
            vma = self.find(at)
            if vma is None:
                return
            upto, old = min(vma.end, end), vma.flags
            new = wanted(vma)
            if new != old:
                yield self._fixup(vma, at, upto, new), at, upto, old
            at = upto

    def covered(self, start: int, end: int) -> bool:
        return all(self.find(page) for page in range(start, end))

    def _fixup(self, vma: Vma, start: int, end: int, flags: int) -> Vma:
        merged = self.merge(start, end, flags, vma.anon_vma, vma.file, vma.index(start))
        if merged is not None:
            return merged
        self.limit((start != vma.start) + (end != vma.end))
        if start != vma.start:
            self.split(vma, start, new_below=True)
        if end != vma.end:
            self.split(vma, end, new_below=False)
        vma.flags = flags
        return vma

    # ------------------------------------------------------------ anon_vmas
    def mergeable_anon_vma(self, vma: Vma) -> AnonVma | None:
        """find_mergeable_anon_vma: the next VMA's first, then the previous one's."""
        at = self.all.index(vma)
        if at + 1 < len(self.all):
            near = self.all[at + 1]
            if self._compatible(vma, near) and len(near.chain) == 1:
                return near.anon_vma
        if at:
            near = self.all[at - 1]
            if self._compatible(near, vma) and len(near.chain) == 1:
                return near.anon_vma
        return None

    @staticmethod
    def _compatible(a: Vma, b: Vma) -> bool:
        return a.end == b.start and a.file is b.file and not (a.flags ^ b.flags) & ~PROT and b.pgoff == a.pgoff + a.pages
