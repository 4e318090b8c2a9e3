# SPDX-License-Identifier: GPL-2.0-only
"""anon_vmas and the chains between them and VMAs, as lists. mm/rmap.c, from anon_vma_prepare to unlink_anon_vmas."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .vma import Vma


@dataclass(eq=False)
class AnonVma:
    serial: int
    root: AnonVma = field(init=False)
    vmas: list[Vma] = field(default_factory=list)  # same_anon_vma: oldest first
    refcount: int = 1

    def __post_init__(self) -> None:
        self.root = self


class Slab:
    """Numbers anon_vmas by allocation, and knows which live."""

    def __init__(self) -> None:
        self.serial = 0
        self.live: dict[int, AnonVma] = {}

    def alloc(self) -> AnonVma:
        self.serial += 1
        av = self.live[self.serial] = AnonVma(self.serial)
        return av

    def put(self, av: AnonVma) -> None:
        av.refcount -= 1
        if av.refcount:
            return
        if av.root is not av:
            av.root.refcount -= 1
            if not av.root.refcount:
                del self.live[av.root.serial]
        del self.live[av.serial]


def link(vma: Vma, av: AnonVma) -> None:
    vma.chain.insert(0, av)
    av.vmas.append(vma)


def prepare(slab: Slab, vma: Vma, mergeable: AnonVma | None) -> None:
    """anon_vma_prepare; `mergeable` is what find_mergeable_anon_vma found."""
    if vma.anon_vma is None:
        vma.anon_vma = mergeable or slab.alloc()
        link(vma, vma.anon_vma)


def clone(dst: Vma, src: Vma) -> None:
    for av in reversed(src.chain):
        link(dst, av)


def fork(slab: Slab, vma: Vma, pvma: Vma) -> None:
    if pvma.anon_vma is None:
        return
    clone(vma, pvma)
    av = slab.alloc()
    av.root = pvma.anon_vma.root
    av.root.refcount += 1
    vma.anon_vma = av
    link(vma, av)


def unlink(slab: Slab, vma: Vma) -> None:
    empty = []
    for av in vma.chain:
        av.vmas.remove(vma)
        if not av.vmas:
            empty.append(av)
    for av in empty:
        slab.put(av)
    vma.chain = []
