# SPDX-License-Identifier: GPL-2.0-only
"""mm/rmap.c in plain Python, over what m.dump() gives: slow, obvious, and written from the semantics of v3.2.

A call changes the dump as the kernel would change its state, and returns what the kernel would return. Single pages (anonymous, of
files, in the swap cache), linear and nonlinear VMAs, page locks and mmap_sems held by others. Not here: compound pages, KSM, groups,
notifiers, waiting for a lock.
"""
from __future__ import annotations

from .rmap_state import (
    AGAIN,
    CLUSTER,
    FAIL,
    IGNORE_ACCESS,
    IGNORE_HWPOISON,
    IGNORE_MLOCK,
    MIGRATION,
    MLOCK,
    MUNLOCK,
    PAGE,
    SUCCESS,
    Bug,
    Dict,
    State,
)

__all__ = ["Bug", "Rmap"]


class Rmap(State):
    """The walks over all mappings of a page."""

    # ------------------------------------------------------------ whose VMAs
    def candidates(self, p: Dict) -> list[Dict]:
        """The VMAs of a walk, in order."""
        if self.anon(p):
            return [self.vmas[s] for s in self.d["anon_vmas"][self.owner(p)]["vmas"]]
        return [v for v in map(self.vmas.get, self.d["files"][self.owner(p)]["i_mmap"]) if v and self.covers(v, p["index"])]

    def covers(self, v: Dict, pgoff: int) -> bool:
        return v["pgoff"] <= pgoff < v["pgoff"] + (v["end"] - v["start"]) // PAGE

    def lock_anon(self, p: Dict) -> bool:
        """page_lock_anon_vma."""
        self.cost["rcu_read_lock"] += 1
        if not self.anon(p) or p["mapcount"] <= 0:
            return False
        self.lock("anon_vma")
        return True

    # ------------------------------------------------------------ page_referenced
    def referenced_one(self, pfn: int, v: Dict, va: int, left: int, flags: set[str]) -> tuple[int, int]:
        """References, and how many mappings are still to be found."""
        if self.check_address(pfn, v, va, False) is None:
            return 0, left
        if self.flag(v, "LOCKED"):
            flags.add("LOCKED")
            return 0, 0
        n = int(self.clear_young(v, va))
        if self.flag(v, "SEQ_READ") and not self.flag(v, "RAND_READ"):
            n = 0
        pid, m = v["pid"], self.machine
        if pid == m["swap_token"] and pid != m["current"] and self.process(v)["mmap_sem_other"]:
            n += 1
        if n:
            flags.update(v["flags"])
        return n, left - 1

    def page_referenced(self, pfn: int, is_locked: bool) -> tuple[int, list[str]]:
        p, n, flags, we_locked = self.pages[pfn], 0, set[str](), False
        if p["mapcount"] <= 0 or p["mapping"] is None:
            return 0, []
        if not is_locked and not self.anon(p):
            we_locked = self.trylock(p)
            if not we_locked:
                return 1, []
        self.cost["rmap_walks"] += 1
        if self.anon(p):
            self.lock_anon(p)
        else:
            self.bug(not self.has(p, "locked"), "!PageLocked(page)", "page_referenced_file")
            self.lock("i_mmap_mutex")
        left = p["mapcount"]
        for v in self.candidates(p):
            self.cost["vmas_visited"] += 1
            va = self.vma_address(p, v)
            if va is not None:
                got, left = self.referenced_one(pfn, v, va, left, flags)
                n += got
                if not left:
                    break
        if we_locked:
            self.set(p, "locked", False)
        return n + self.key_young(p), sorted(flags)

    # ------------------------------------------------------------ page_mkclean
    def page_mkclean(self, pfn: int) -> int:
        p, cleaned = self.pages[pfn], 0
        self.bug(not self.has(p, "locked"), "!PageLocked(page)", "page_mkclean")
        if p["mapcount"] <= 0:
            return 0
        self.cost["rmap_walks"] += 1
        # page_mapping: of the swap cache it is swapper_space, of other anonymous pages NULL
        self.bug(self.has(p, "swapcache"), "PageAnon(page)", "page_mkclean_file")
        if p["mapping"] is None or self.anon(p):
            return 0
        self.lock("i_mmap_mutex")
        for v in self.candidates(p):
            self.cost["vmas_visited"] += 1
            va = self.vma_address(p, v)
            if self.flag(v, "SHARED") and va is not None:
                cleaned += self.mkclean_one(pfn, v, va)
        return 1 if self.key_dirty(p) else cleaned

    def mkclean_one(self, pfn: int, v: Dict, va: int) -> int:
        e = self.check_address(pfn, v, va, True)
        if e is None or not (e.get("dirty") or e.get("write")):
            return 0
        self.cost["cache_flush_page"] += 1
        old = self.clear_flush(v, va)
        self.cost["dirty_cleared"] += bool(old.get("dirty"))
        # s390's pte_wrprotect leaves an invalid entry alone
        gone = ("dirty",) if self.keys and old.get("protnone") else ("dirty", "write")
        self.put(v, va, {k: x for k, x in old.items() if k not in gone})
        return 1

    # ------------------------------------------------------------ try_to_unmap
    def unmap_one(self, pfn: int, v: Dict, va: int, flags: int) -> int:
        p, mm, action = self.pages[pfn], self.process(v), flags & 0xff
        if self.check_address(pfn, v, va, False) is None:
            return AGAIN
        if not flags & IGNORE_MLOCK:
            if self.flag(v, "LOCKED"):
                return self.out_mlock(pfn, v)
            if action == MUNLOCK:
                return AGAIN
        if not flags & IGNORE_ACCESS and self.clear_young(v, va):
            return FAIL
        self.cost["cache_flush_page"] += 1
        old = self.clear_flush(v, va)
        if old.get("dirty"):
            self.set_page_dirty(p)
        self.update_hiwater_rss(mm)
        if self.has(p, "hwpoison") and not flags & IGNORE_HWPOISON:
            mm["rss"][1 if self.anon(p) else 0] -= 1
            self.put(v, va, {"kind": "hwpoison", "pfn": pfn})
        elif self.anon(p):
            if not self.replace_anon(p, pfn, v, va, old, action):
                return FAIL
        elif action == MIGRATION and self.config["migration"]:
            self.put(v, va, self.migration_entry(pfn, old))
        else:
            mm["rss"][0] -= 1
        self.page_remove_rmap(pfn)
        p["count"] -= 1
        return AGAIN

    def replace_anon(self, p: Dict, pfn: int, v: Dict, va: int, old: Dict, action: int) -> bool:
        mm = self.process(v)
        if self.has(p, "swapcache"):
            if not self.swap_duplicate(p):
                self.put(v, va, old)
                return False
            if v["pid"] not in self.machine["mmlist"]:
                self.lock("mmlist_lock")
                self.machine["mmlist"].insert(0, v["pid"])
            mm["rss"][1] -= 1
            mm["rss"][2] += 1
            self.put(v, va, {"kind": "swap", "offset": p["private"]})
        elif not self.config["migration"]:
            # page_private as it stands, 0: on x86-64 that reads as no entry at all
            self.put(v, va, {"kind": "swap", "offset": p["private"]} if self.keys or p["private"] else None)
        else:
            self.bug(action != MIGRATION, "TTU_ACTION(flags) != TTU_MIGRATION", "try_to_unmap_one")
            self.put(v, va, self.migration_entry(pfn, old))
        return True

    def out_mlock(self, pfn: int, v: Dict) -> int:
        """The VMA is locked: that counts only under its mmap_sem, which is only tried."""
        if self.process(v)["mmap_sem_other"] == 2:
            self.cost["trylock_failed_mmap_sem"] += 1
            return AGAIN
        self.lock("mmap_sem")
        self.mlock_page(pfn)
        return MLOCK

    def unmap_anon(self, pfn: int, flags: int) -> int:
        p, ret = self.pages[pfn], AGAIN
        if not self.lock_anon(p):
            return ret
        for v in self.candidates(p):
            self.cost["vmas_visited"] += 1
            if self.config["migration"] and flags & MIGRATION and self.temporary_stack(v):
                continue
            va = self.vma_address(p, v)
            if va is not None:
                ret = self.unmap_one(pfn, v, va, flags)
                if ret != AGAIN or p["mapcount"] <= 0:
                    break
        return ret

    def unmap_file(self, pfn: int, flags: int) -> int:
        p, ret = self.pages[pfn], AGAIN
        self.lock("i_mmap_mutex")
        for v in self.candidates(p):
            self.cost["vmas_visited"] += 1
            va = self.vma_address(p, v)
            if va is not None:
                ret = self.unmap_one(pfn, v, va, flags)
                if ret != AGAIN or p["mapcount"] <= 0:
                    return ret
        nonlinear = [self.vmas[s] for s in self.d["files"][self.owner(p)]["i_mmap_nonlinear"]]
        if not nonlinear or flags & 0xff == MUNLOCK:
            return ret
        return self.unmap_nonlinear(pfn, nonlinear, ret)

    def unmap_nonlinear(self, pfn: int, vmas: list[Dict], ret: int) -> int:
        p = self.pages[pfn]
        cursor = max(v["private_data"] for v in vmas)
        size = max(v["end"] - v["start"] for v in vmas)
        self.cost["vmas_visited"] += len(vmas)
        left = p["mapcount"]
        if not left:
            return ret
        size = -(-size // CLUSTER) * CLUSTER
        cursor = cursor or CLUSTER
        while True:
            for v in vmas:
                self.cost["vmas_visited"] += 1
                at = v["private_data"]
                while at < cursor and at < v["end"] - v["start"]:
                    got, left = self.unmap_cluster(at, left, v, pfn)
                    if got == MLOCK:
                        ret = MLOCK
                    at += CLUSTER
                    v["private_data"] = at
                    if left <= 0:
                        return ret
                v["private_data"] = cursor
            cursor += CLUSTER
            if cursor > size:
                break
        for v in vmas:
            v["private_data"] = 0
        return ret

    def unmap_cluster(self, cursor: int, left: int, v: Dict, check: int) -> tuple[int, int]:
        mm, ret = self.process(v), AGAIN
        va = (v["start"] + cursor) // CLUSTER * CLUSTER
        end = min(va + CLUSTER, v["end"])
        va = max(va, v["start"])
        if not self.has_table(v, va):
            return AGAIN, left
        locked = False
        if mm["mmap_sem_other"] == 2:
            self.cost["trylock_failed_mmap_sem"] += 1
        else:
            self.lock("mmap_sem")
            locked = self.flag(v, "LOCKED")
        self.cost["clusters_scanned"] += 1
        self.lock("ptl")
        self.update_hiwater_rss(mm)
        for at in range(va, end, PAGE):
            self.cost["ptes_examined"] += 1
            e = self.entry(v, at)
            if e["kind"] != "present":
                continue
            pfn = e["pfn"]
            p = self.pages[pfn]
            self.bug(self.anon(p), "!page || PageAnon(page)", "try_to_unmap_cluster")
            self.cost["ptes_matched"] += pfn == check
            if locked:
                self.mlock_page(pfn)
                ret = MLOCK if pfn == check else ret
            elif not self.clear_young(v, at):
                self.cost["cache_flush_page"] += 1
                old = self.clear_flush(v, at)
                if p["index"] != self.linear(v, at):
                    self.put(v, at, {"kind": "file", "pgoff": p["index"]})
                if old.get("dirty"):
                    self.set_page_dirty(p)
                self.page_remove_rmap(pfn)
                p["count"] -= 1
                mm["rss"][0] -= 1
                left -= 1
        return ret, left

    def try_to_unmap(self, pfn: int, flags: int) -> int:
        p = self.pages[pfn]
        self.bug(not self.has(p, "locked"), "!PageLocked(page)", "try_to_unmap")
        self.cost["rmap_walks"] += 1
        ret = self.unmap_anon(pfn, flags) if self.anon(p) else self.unmap_file(pfn, flags)
        return SUCCESS if ret != MLOCK and p["mapcount"] <= 0 else ret

    def try_to_munlock(self, pfn: int) -> int:
        p = self.pages[pfn]
        self.vm_bug(not self.has(p, "locked") or self.has(p, "lru"), "!PageLocked(page) || PageLRU(page)", "try_to_munlock")
        self.cost["rmap_walks"] += 1
        return self.unmap_anon(pfn, MUNLOCK) if self.anon(p) else self.unmap_file(pfn, MUNLOCK)
