# SPDX-License-Identifier: GPL-2.0-only
"""mm/rmap.c and KSM's walks in plain Python: slow, obvious, and written from the semantics of v3.2.

A call changes the state (m.lab.state()) as the kernel would change its own, and returns what the kernel would return.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

from .rmap_lock import LOCKED, Blocked, Bug, Dict, NoMemory
from .rmap_state import AGAIN, FAIL
from .rmap_unmap import Unmap
from .rmap_used import Left

__all__ = ["Blocked", "Bug", "NoMemory", "Rmap"]

Visitor = Callable[[int, int], int]     # VMA and address: what the walk does then, as SWAP_AGAIN goes on


class Rmap(Unmap):
    # ------------------------------------------------------------ KSM
    def node(self, p: Dict) -> Dict | None:
        """page_stable_node."""
        found: Dict | None = self.d["nodes"].get(p["mapping"][1]) if self.ksm(p) else None
        return found

    def ksm_checks(self, p: Dict, function: str) -> None:
        self.vm_bug(not self.ksm(p), "!PageKsm(page)", function)
        self.vm_bug(not p["flags"] & LOCKED, "!PageLocked(page)", function)

    def ksm_vmas(self, item: list[int], forks: bool) -> Iterator[tuple[int, int]]:
        """(VMA, address) under the lock of the item's anon_vma: of the item's own mm, or of all others. Who leaves early unlocks."""
        _, pid, va, serial = item
        self.anon_vma_lock(serial)
        for vma in self.anon_vmas(serial):
            v = self.vmas[vma]
            if v["start"] <= va < v["end"] and (v["pid"] == pid) != forks:
                yield vma, va
        self.anon_vma_unlock(serial)

    def page_referenced_ksm(self, pfn: int, memcg: int | None = None, flags: int = 0) -> tuple[int, int]:
        p, n, left = self.pages[pfn], 0, Left(self.pages[pfn]["mapcount"], flags)
        self.ksm_checks(p, "page_referenced_ksm")
        node = self.node(p)
        for forks in (False, True):
            for item in node["items"] if node else ():
                n += self.referenced_item(pfn, item, forks, memcg, left)
                if not left.mapcount:
                    return n, left.flags
        return n, left.flags

    def referenced_item(self, pfn: int, item: list[int], forks: bool, memcg: int | None, left: Left) -> int:
        n = 0
        for vma, va in self.ksm_vmas(item, forks):
            if not self.in_group(vma, memcg):
                continue
            n += self.referenced_one(pfn, vma, va, left)
            # of its own mm an item has one place
            if not forks or not left.mapcount:
                self.anon_vma_unlock(item[3])
                return n
        return n

    def ksm_visit(self, pfn: int, visit: Visitor, *, until_unmapped: bool) -> int:
        """To the first answer that is not SWAP_AGAIN."""
        ret, node = AGAIN, self.node(self.pages[pfn])
        for forks in (False, True):
            for item in node["items"] if node else ():
                for vma, va in self.ksm_vmas(item, forks):
                    ret = visit(vma, va)
                    if ret != AGAIN or (until_unmapped and self.pages[pfn]["mapcount"] <= 0):
                        self.anon_vma_unlock(item[3])
                        return ret
        return ret

    def try_to_unmap_ksm(self, pfn: int, flags: int) -> int:
        p = self.pages[pfn]
        self.ksm_checks(p, "try_to_unmap_ksm")
        if self.node(p) is None:
            return FAIL
        return self.ksm_visit(pfn, lambda vma, va: self.try_to_unmap_one(pfn, vma, va, flags), until_unmapped=True)

    # ------------------------------------------------------------ rmap_walk
    def rmap_walk_ksm(self, pfn: int, visitor: Visitor) -> int:
        self.ksm_checks(self.pages[pfn], "rmap_walk_ksm")
        return self.ksm_visit(pfn, visitor, until_unmapped=False)

    def rmap_walk_anon(self, pfn: int, visitor: Visitor) -> int:
        p, ret, serial = self.pages[pfn], AGAIN, self.page_av(self.pages[pfn])
        if not serial:
            return ret
        self.anon_vma_lock(serial)
        for vma in self.anon_vmas(serial):
            va = self.address(p, self.vmas[vma])
            if va is not None:
                ret = visitor(vma, va)
                if ret != AGAIN:
                    break
        self.anon_vma_unlock(serial)
        return ret

    def rmap_walk_file(self, pfn: int, visitor: Visitor) -> int:
        p, ret = self.pages[pfn], AGAIN
        file = self.file_of(p)
        if file is None:
            return ret
        self.lock("i_mmap_mutex", file, "lock")
        for vma in self.file_vmas(file, p["index"]):
            va = self.address(p, self.vmas[vma])
            if va is not None:
                ret = visitor(vma, va)
                if ret != AGAIN:
                    break
        self.unlock("i_mmap_mutex", file, "lock")
        return ret

    def rmap_walk(self, pfn: int, visitor: Visitor) -> int:
        p = self.pages[pfn]
        self.vm_bug(not p["flags"] & LOCKED, "!PageLocked(page)", "rmap_walk")
        self.cost["rmap_walks"] += 1
        walk = self.rmap_walk_ksm if self.ksm(p) else self.rmap_walk_anon if self.anon(p) else self.rmap_walk_file
        return walk(pfn, visitor)
