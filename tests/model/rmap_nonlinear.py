# SPDX-License-Identifier: GPL-2.0-only
"""try_to_unmap_cluster and the cursors of try_to_unmap_file of mm/rmap.c."""
from __future__ import annotations

from rmapemu.machine.pte import Pte

from .rmap_lock import Dict
from .rmap_state import AGAIN, CLUSTER, FAIL, MLOCK, PAGE, VM_LOCKED
from .rmap_used import Used


class Nonlinear(Used):
    def unmap_nonlinear(self, pfn: int, serials: list[int], ret: int) -> int:
        vmas = [self.vmas[s] for s in serials]
        cursor = max(v["cursor"] for v in vmas)
        size = max(v["end"] - v["start"] for v in vmas)
        self.cost["vmas_visited"] += len(vmas)
        if size == 0:
            return FAIL
        left = self.pages[pfn]["mapcount"]
        if not left:
            return ret
        size = -(-size // CLUSTER) * CLUSTER
        cursor = cursor or CLUSTER
        while True:
            for serial, v in zip(serials, vmas, strict=True):
                self.cost["vmas_visited"] += 1
                at = v["cursor"]
                while at < cursor and at < v["end"] - v["start"]:
                    got, left = self.cluster(at, left, serial, pfn)
                    if got == MLOCK:
                        ret = MLOCK
                    at += CLUSTER
                    v["cursor"] = at
                    if left <= 0:
                        return ret
                v["cursor"] = cursor
            cursor += CLUSTER
            if cursor > size:
                break
        for v in vmas:
            v["cursor"] = 0
        return ret

    def try_to_unmap_cluster(self, cursor: int, mapcount: int, serial: int, check: int | None) -> tuple[int, int]:
        ret, left = self.cluster(cursor, mapcount, serial, check)
        return ret, left & 0xffffffff

    def cluster(self, cursor: int, left: int, serial: int, check: int | None) -> tuple[int, int]:
        v = self.vmas[serial]
        mm, ret = self.mm(v), AGAIN
        va = (v["start"] + cursor) // CLUSTER * CLUSTER
        end = min(va + CLUSTER, v["end"])
        va = max(va, v["start"])
        if not self.has_table(mm, va):
            return AGAIN, left
        locked = self.cluster_locked(v, mm)
        self.cost["clusters_scanned"] += 1
        self.ptl(mm, va)
        self.update_hiwater_rss(mm)
        for at in range(va, end, PAGE):
            self.cost["ptes_examined"] += 1
            e = self.entry(mm, at)
            if e.kind != "present":
                continue
            p = self.normal_page(e)
            self.bug(p is None or self.anon(p), "!page || PageAnon(page)", "try_to_unmap_cluster")
            self.cost["ptes_matched"] += e.pfn == check
            if locked:
                self.cluster_mlock(e.pfn, check)
                ret = MLOCK if e.pfn == check else ret
            elif not self.clear_young(mm, at):
                self.cluster_unmap(e.pfn, v, mm, at)
                left -= 1
        self.ptl_unlock(mm)
        if locked:
            self.up_read(mm)
        return ret, left

    def normal_page(self, e: Pte) -> Dict | None:
        """vm_normal_page: where a special entry is not the zero page's, it is a bad one, and reported."""
        if e.special:
            self.d["warnings"] += 1
            return None
        return self.pages.get(e.pfn)

    def cluster_locked(self, v: Dict, mm: Dict) -> bool:
        if not self.down_read_trylock(mm):
            return False
        if not v["flags"] & VM_LOCKED:
            self.up_read(mm)
            return False
        return True

    def cluster_mlock(self, pfn: int, check: int | None) -> None:
        """v3.2 mlocks pages that nobody locked; what came later asks for their locks."""
        p = self.pages[pfn]
        if pfn == check or not self.config["cluster_mlock_fix"]:
            self.mlock_page(pfn)
        elif self.trylock_page(p):
            self.mlock_page(pfn)
            self.unlock_page(p)

    def cluster_unmap(self, pfn: int, v: Dict, mm: Dict, va: int) -> None:
        p = self.pages[pfn]
        self.cost["cache_flush_page"] += 1
        old = self.clear_flush(mm, va)
        if p["index"] != self.linear(v, va):
            self.put(mm, va, Pte("file", 0, pgoff=p["index"]))
        if old.dirty:
            self.set_page_dirty(p)
        self.page_remove_rmap(pfn)
        p["count"] -= 1
        mm["rss"][0] -= 1
