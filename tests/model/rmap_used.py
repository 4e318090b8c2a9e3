# SPDX-License-Identifier: GPL-2.0-only
"""page_referenced_one to page_mkclean of mm/rmap.c: was the page used, and cleaning it."""
from __future__ import annotations

from collections.abc import Iterator

from .rmap_add import Add
from .rmap_lock import LOCKED, Dict
from .rmap_state import PAGE, SWAPCACHE, VM_LOCKED, VM_RAND_READ, VM_SEQ_READ, VM_SHARED


class Left:
    """What a walk of page_referenced carries along: mappings still to be found, flags of the VMAs that used the page."""

    def __init__(self, mapcount: int, flags: int) -> None:
        self.mapcount, self.flags = mapcount, flags


class Used(Add):
    # ------------------------------------------------------------ the VMAs of a walk, in order
    def anon_vmas(self, serial: int) -> Iterator[int]:
        for vma in list(self.av(serial)["vmas"]):
            self.cost["vmas_visited"] += 1
            yield vma

    def file_vmas(self, file: Dict, pgoff: int) -> Iterator[int]:
        for vma in file["i_mmap"]:
            v = self.vmas[vma]
            if v["pgoff"] <= pgoff < v["pgoff"] + (v["end"] - v["start"]) // PAGE:
                self.cost["vmas_visited"] += 1
                yield vma

    # ------------------------------------------------------------ page_referenced
    def huge_young(self, pfn: int, v: Dict, va: int) -> int | None:
        """None: not mapped so; -1: locked; else was it young."""
        mm, young = self.mm(v), None
        self.ptl(mm)
        e = self.check_address_pmd(pfn, mm, va, "any")
        if e is not None and v["flags"] & VM_LOCKED:
            young = -1
        elif e is not None:
            if e.young:
                mm["entries"][va] = e._replace(young=False)
                for what in "young_cleared", "ptes_written", "tlb_flush_range":
                    self.cost[what] += 1
            young = int(self.notify(mm, 0) or e.young)
        self.ptl_unlock(mm)
        return young

    def young(self, pfn: int, v: Dict, va: int) -> int | None:
        """The same of a small page; reading in sequence is no use."""
        mm, young = self.mm(v), -1
        if self.check_address(pfn, mm, va, False) is None:
            return None
        if not v["flags"] & VM_LOCKED:
            young = int(self.clear_young(mm, va))
            if v["flags"] & (VM_SEQ_READ | VM_RAND_READ) == VM_SEQ_READ:
                young = 0
        self.ptl_unlock(mm)
        return young

    def referenced_one(self, pfn: int, serial: int, va: int, left: Left) -> int:
        v = self.vmas[serial]
        n = self.huge_young(pfn, v, va) if self.trans_huge(self.pages[pfn]) else self.young(pfn, v, va)
        if n is None:
            return 0
        if n < 0:
            left.mapcount, left.flags = 0, left.flags | VM_LOCKED
            return 0
        mm = self.mm(v)
        if v["pid"] == self.d["swap_token"] and v["pid"] != self.d["current"] and (mm["mmap_sem"] or mm["mmap_sem_other"]):
            n += 1
        left.mapcount = (left.mapcount - 1) & 0xffffffff
        if n:
            left.flags |= v["flags"]
        return n

    def page_referenced_one(self, pfn: int, serial: int, va: int, mapcount: int, flags: int) -> tuple[int, int, int]:
        left = Left(mapcount, flags)
        n = self.referenced_one(pfn, serial, va, left)
        return n, left.mapcount, left.flags

    def referenced_by(self, pfn: int, vmas: Iterator[int], memcg: int | None, left: Left) -> int:
        n = 0
        for serial in vmas:
            va = self.address(self.pages[pfn], self.vmas[serial])
            if va is not None and self.in_group(serial, memcg):
                n += self.referenced_one(pfn, serial, va, left)
                if not left.mapcount:
                    break
        return n

    def in_group(self, serial: int, memcg: int | None) -> bool:
        return memcg is None or not self.config["cgroup_mem"] or bool(self.mm(self.vmas[serial])["memcg"] == memcg)

    def page_referenced_anon(self, pfn: int, memcg: int | None = None, flags: int = 0) -> tuple[int, int]:
        serial, n, left = self.page_lock_anon_vma(pfn), 0, Left(self.pages[pfn]["mapcount"], flags)
        if serial is not None:
            n = self.referenced_by(pfn, self.anon_vmas(serial), memcg, left)
            self.page_unlock_anon_vma(serial)
        return n, left.flags

    def page_referenced_file(self, pfn: int, memcg: int | None = None, flags: int = 0) -> tuple[int, int]:
        p = self.pages[pfn]
        self.bug(self.anon(p), "PageAnon(page)", "page_referenced_file")
        self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "page_referenced_file")
        file = self.file_of(p)
        self.bug(file is None, "page->mapping is NULL", "page_referenced_file")
        assert file is not None
        self.lock("i_mmap_mutex", file, "lock")
        left = Left(p["mapcount"], flags)
        n = self.referenced_by(pfn, self.file_vmas(file, p["index"]), memcg, left)
        self.unlock("i_mmap_mutex", file, "lock")
        return n, left.flags

    def page_referenced(self, pfn: int, is_locked: bool = False, memcg: int | None = None) -> tuple[int, int]:
        p, we_locked = self.pages[pfn], False
        # page_rmapping: a pointer, whatever it says
        if p["mapcount"] <= 0 or p["mapping"] is None or not p["mapping"][1]:
            return 0, 0
        if not is_locked and (not self.anon(p) or self.ksm(p)):
            we_locked = self.trylock_page(p)
            if not we_locked:
                return 1, 0
        self.cost["rmap_walks"] += 1
        walk = self.page_referenced_ksm if self.ksm(p) else self.page_referenced_anon if self.anon(p) else self.page_referenced_file
        n, flags = walk(pfn, memcg)
        if we_locked:
            self.unlock_page(p)
        return n + self.key_young(p), flags

    def page_referenced_ksm(self, pfn: int, memcg: int | None = None, flags: int = 0) -> tuple[int, int]:
        raise NotImplementedError

    # ------------------------------------------------------------ page_mkclean
    def page_mkclean_one(self, pfn: int, serial: int, va: int) -> int:
        mm, ret = self.mm(self.vmas[serial]), 0
        e = self.check_address(pfn, mm, va, True)
        if e is None:
            return 0
        if e.dirty or e.write:
            self.cost["cache_flush_page"] += 1
            old = self.clear_flush(mm, va)
            self.cost["dirty_cleared"] += old.dirty
            # s390's pte_wrprotect leaves an invalid entry alone
            self.put(mm, va, old._replace(dirty=False, write=old.write and self.keys and old.protnone))
            ret = 1
        self.ptl_unlock(mm)
        return ret

    def page_mkclean_file(self, ino: int, pfn: int) -> int:
        p, file, cleaned = self.pages[pfn], self.d["files"][ino], 0
        self.bug(self.anon(p), "PageAnon(page)", "page_mkclean_file")
        self.lock("i_mmap_mutex", file, "lock")
        for serial in self.file_vmas(file, p["index"]):
            if self.vmas[serial]["flags"] & VM_SHARED:
                va = self.address(p, self.vmas[serial])
                if va is not None:
                    cleaned += self.page_mkclean_one(pfn, serial, va)
        self.unlock("i_mmap_mutex", file, "lock")
        return cleaned

    def page_mkclean(self, pfn: int) -> int:
        p = self.pages[pfn]
        self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "page_mkclean")
        if p["mapcount"] <= 0:
            return 0
        self.cost["rmap_walks"] += 1
        cleaned = 0
        # page_mapping: of the swap cache it is swapper_space, which no VMA maps; of other anonymous pages NULL
        if p["flags"] & SWAPCACHE:
            self.bug(self.anon(p), "PageAnon(page)", "page_mkclean_file")
            self.lock_one("i_mmap_mutex")
        elif self.file_of(p) is None:
            return 0
        else:
            cleaned = self.page_mkclean_file(p["mapping"][1], pfn)
        return 1 if self.key_dirty(p) else cleaned
