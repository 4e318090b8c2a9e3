# SPDX-License-Identifier: GPL-2.0-only
"""try_to_unmap_one to try_to_munlock of mm/rmap.c: taking mappings away."""
from __future__ import annotations

from rmapemu.machine.pte import Pte

from .rmap_lock import LOCKED, Dict
from .rmap_nonlinear import Nonlinear
from .rmap_state import (
    AGAIN,
    FAIL,
    GFP_ATOMIC,
    HEAD,
    HWPOISON,
    IGNORE_ACCESS,
    IGNORE_HWPOISON,
    IGNORE_MLOCK,
    LRU,
    MIGRATION,
    MLOCK,
    MUNLOCK,
    SUCCESS,
    SWAP_COUNT,
    SWAP_MAP_MAX,
    SWAPCACHE,
    VM_LOCKED,
)


class Unmap(Nonlinear):
    # ------------------------------------------------------------ one VMA
    def try_to_unmap_one(self, pfn: int, serial: int, va: int, flags: int) -> int:
        v = self.vmas[serial]
        mm = self.mm(v)
        if self.check_address(pfn, mm, va, False) is None:
            return AGAIN
        if not flags & IGNORE_MLOCK:
            if v["flags"] & VM_LOCKED:
                self.ptl_unlock(mm)
                return self.out_mlock(pfn, v)
            if flags & 0xff == MUNLOCK:
                self.ptl_unlock(mm)
                return AGAIN
        used = not flags & IGNORE_ACCESS and self.clear_young(mm, va)
        ret = FAIL if used else self.nuke(pfn, mm, va, flags)
        self.ptl_unlock(mm)
        return ret

    def nuke(self, pfn: int, mm: Dict, va: int, flags: int) -> int:
        p, action = self.pages[pfn], flags & 0xff
        self.cost["cache_flush_page"] += 1
        old = self.clear_flush(mm, va)
        if old.dirty:
            self.set_page_dirty(p)
        self.update_hiwater_rss(mm)
        if p["flags"] & HWPOISON and not flags & IGNORE_HWPOISON:
            mm["rss"][1 if self.anon(p) else 0] -= 1
            self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "make_hwpoison_entry")
            self.put(mm, va, Pte("hwpoison", 0, pfn, swap_type=29, offset=pfn))
        elif self.anon(p):
            if not self.replace_anon(p, pfn, mm, va, old, action):
                return FAIL
        elif action == MIGRATION and self.config["migration"]:
            self.put(mm, va, self.migration_entry(pfn, old))
        else:
            mm["rss"][0] -= 1
        self.page_remove_rmap(pfn)
        p["count"] -= 1
        return AGAIN

    def replace_anon(self, p: Dict, pfn: int, mm: Dict, va: int, old: Pte, action: int) -> bool:
        slot = p["private"] >> 27, p["private"] & (1 << 27) - 1
        if p["flags"] & SWAPCACHE:
            if not self.swap_duplicate(slot):
                self.put(mm, va, old)
                return False
            pid = next(k for k, other in self.mms.items() if other is mm)
            if pid not in self.d["mmlist"]:
                self.lock_one("mmlist_lock")
                self.d["mmlist"].insert(0, pid)
            mm["rss"][1] -= 1
            mm["rss"][2] += 1
        elif self.config["migration"]:
            self.bug(action != MIGRATION, "TTU_ACTION(flags) != TTU_MIGRATION", "try_to_unmap_one")
            self.put(mm, va, self.migration_entry(pfn, old))
            return True
        # without either: page_private as it stands, 0; on x86-64 that reads as no entry at all
        self.put(mm, va, Pte("swap", 0, swap_type=slot[0], offset=slot[1]) if self.keys or p["private"] else None)
        return True

    def migration_entry(self, pfn: int, old: Pte) -> Pte:
        self.bug(not self.pages[pfn]["flags"] & LOCKED, "!PageLocked(page)", "make_migration_entry")
        return Pte("migration", 0, pfn, old.write, swap_type=31 if old.write else 30, offset=pfn)

    def swap_duplicate(self, slot: tuple[int, int]) -> bool:
        self.lock_one("swap_lock")
        users = self.d["slots"].get(slot)
        if users is None:
            # what is no slot in use is not counted, and no error
            return True
        if users[0] == SWAP_MAP_MAX:
            # no room in the byte: a page is asked for, to count on in
            if self.refused(SWAP_COUNT, GFP_ATOMIC):
                return False
            self.lock_one("swap_lock")
        users[0] += 1
        return True

    def out_mlock(self, pfn: int, v: Dict) -> int:
        """The VMA is locked: that counts only under its mmap_sem, which is only tried."""
        mm = self.mm(v)
        if not self.down_read_trylock(mm):
            return AGAIN
        self.mlock_page(pfn)
        self.up_read(mm)
        return MLOCK

    # ------------------------------------------------------------ all of them
    def try_to_unmap_anon(self, pfn: int, flags: int) -> int:
        p, ret, serial = self.pages[pfn], AGAIN, self.page_lock_anon_vma(pfn)
        if serial is None:
            return ret
        for vma in self.anon_vmas(serial):
            if self.config["migration"] and flags & MIGRATION and self.temporary_stack(self.vmas[vma]):
                continue
            va = self.address(p, self.vmas[vma])
            if va is not None:
                ret = self.try_to_unmap_one(pfn, vma, va, flags)
                if ret != AGAIN or p["mapcount"] <= 0:
                    break
        self.page_unlock_anon_vma(serial)
        return ret

    def try_to_unmap_file(self, pfn: int, flags: int) -> int:
        p = self.pages[pfn]
        file = self.file_of(p)
        self.bug(file is None, "page->mapping", "try_to_unmap_file")
        assert file is not None
        self.lock("i_mmap_mutex", file, "lock")
        ret = self.unmap_linear(pfn, file, flags)
        self.unlock("i_mmap_mutex", file, "lock")
        return ret

    def unmap_linear(self, pfn: int, file: Dict, flags: int) -> int:
        p, ret = self.pages[pfn], AGAIN
        for vma in self.file_vmas(file, p["index"]):
            va = self.address(p, self.vmas[vma])
            if va is not None:
                ret = self.try_to_unmap_one(pfn, vma, va, flags)
                if ret != AGAIN or p["mapcount"] <= 0:
                    return ret
        if not file["i_mmap_nonlinear"] or flags & 0xff == MUNLOCK:
            return ret
        return self.unmap_nonlinear(pfn, file["i_mmap_nonlinear"], ret)

    def try_to_unmap_ksm(self, pfn: int, flags: int) -> int:
        raise NotImplementedError

    def unmap_all(self, pfn: int, flags: int) -> int:
        p = self.pages[pfn]
        walk = self.try_to_unmap_ksm if self.ksm(p) else self.try_to_unmap_anon if self.anon(p) else self.try_to_unmap_file
        return walk(pfn, flags)

    def try_to_unmap(self, pfn: int, flags: int) -> int:
        p = self.pages[pfn]
        self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "try_to_unmap")
        huge = p["flags"] & HEAD and self.config["transparent_hugepage"] and not self.huge(p)
        self.vm_bug(huge, "!PageHuge(page) && PageTransHuge(page)", "try_to_unmap")
        self.cost["rmap_walks"] += 1
        ret = self.unmap_all(pfn, flags)
        return SUCCESS if ret != MLOCK and p["mapcount"] <= 0 else ret

    def try_to_munlock(self, pfn: int) -> int:
        p = self.pages[pfn]
        self.vm_bug(not p["flags"] & LOCKED or p["flags"] & LRU, "!PageLocked(page) || PageLRU(page)", "try_to_munlock")
        self.cost["rmap_walks"] += 1
        return self.unmap_all(pfn, MUNLOCK)
