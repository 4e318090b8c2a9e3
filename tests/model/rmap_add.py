# SPDX-License-Identifier: GPL-2.0-only
"""page_move_anon_rmap to page_remove_rmap of mm/rmap.c, hugetlb's three, and what they need of other files."""
from __future__ import annotations

from .rmap_lock import LOCKED, Dict
from .rmap_state import ACTIVE, DIRTY, LISTS, LRU, MLOCKED, RECLAIM, SWAPBACKED, SWAPCACHE, UNEVICTABLE, VM_LOCKED, VM_SPECIAL
from .rmap_where import Where

USED, CACHE, FILE_MAPPED = 1, 2, 4      # of a charge


class Add(Where):
    # ------------------------------------------------------------ of other files
    def set_page_dirty(self, p: Dict) -> None:
        file = self.file_of(p)
        if p["flags"] & SWAPCACHE or file is not None:
            p["flags"] &= ~RECLAIM
        if p["flags"] & DIRTY:
            return
        p["flags"] |= DIRTY
        if p["flags"] & SWAPCACHE:
            self.lock_one("tree_lock")
        elif file is not None and not file["shmem"]:
            self.lock_one("tree_lock")
            self.stat["nr_dirty"] += 1
            self.stat["nr_dirtied"] += 1

    def frames(self, p: Dict) -> int:
        """hpage_nr_pages."""
        return 1 << self.shift - 12 if self.trans_huge(p) else 1

    def mlock_page(self, pfn: int) -> None:
        """mlock_vma_page: onto the unevictable list if it is on any."""
        p = self.pages[pfn]
        self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "mlock_vma_page")
        if p["flags"] & MLOCKED:
            return
        p["flags"] |= MLOCKED
        self.stat["nr_mlock"] += 1
        self.stat["unevictable_pgs_mlocked"] += 1
        if not p["flags"] & LRU:
            return
        self.lock_one("lru_lock")
        for name, pages in zip(LISTS, self.lists, strict=True):
            if pfn in pages:
                pages.remove(pfn)
                self.stat[f"nr_{name}"] -= self.frames(p)
        if not p["flags"] & UNEVICTABLE:
            self.stat["unevictable_pgs_culled"] += 1
        p["flags"] = p["flags"] & ~ACTIVE
        self.to_list(pfn, 4)

    def to_list(self, pfn: int, number: int) -> None:
        p = self.pages[pfn]
        self.lock_one("lru_lock")
        p["flags"] |= LRU | (UNEVICTABLE if number == 4 else ACTIVE if number & 1 else 0)
        self.lists[number].insert(0, pfn)
        self.stat[f"nr_{LISTS[number]}"] += self.frames(p)

    def mlocked_by(self, p: Dict, v: Dict) -> bool:
        """is_mlocked_vma: marks a new page of a locked VMA."""
        if v["flags"] & (VM_LOCKED | VM_SPECIAL) != VM_LOCKED:
            return False
        if not p["flags"] & MLOCKED:
            p["flags"] |= MLOCKED
            self.stat["nr_mlock"] += 1
            self.stat["unevictable_pgs_mlocked"] += 1
        return True

    def uncharge(self, p: Dict) -> None:
        """mem_cgroup_uncharge_page: unless something still keeps the page."""
        group, bits = p["memcg"]
        if not bits & USED or p["mapcount"] > 0 or p["flags"] & SWAPCACHE or not self.config["cgroup_mem"]:
            return
        g, n = self.d["groups"][group], self.frames(p)
        g["cache" if bits & CACHE else "rss"] -= n
        g["pgpgout"] += 1
        if group:
            g["usage"] -= n
        p["memcg"] = (group, bits & ~USED)

    def count_mapped(self, p: Dict, n: int) -> None:
        """MEMCG_NR_FILE_MAPPED."""
        group, bits = p["memcg"]
        if not bits & USED or not self.config["cgroup_mem"]:
            return
        if n > 0:
            bits |= FILE_MAPPED
        elif p["mapcount"] <= 0:
            bits &= ~FILE_MAPPED
        p["memcg"] = (group, bits)
        self.d["groups"][group]["file_mapped"] += n

    # ------------------------------------------------------------ adding
    def set_anon(self, p: Dict, v: Dict, va: int, exclusive: bool, function: str) -> None:
        self.bug(not v["anon_vma"], "!anon_vma", function)
        if not self.anon(p):
            p["mapping"] = ("anon_vma", v["anon_vma"] if exclusive else self.av(v["anon_vma"])["root"])
            p["index"] = self.linear(v, va)

    def page_set_anon_rmap(self, pfn: int, serial: int, va: int, exclusive: bool) -> None:
        self.set_anon(self.pages[pfn], self.vmas[serial], va, exclusive, "__page_set_anon_rmap")

    def hugepage_set_anon_rmap(self, pfn: int, serial: int, va: int, exclusive: bool) -> None:
        self.set_anon(self.pages[pfn], self.vmas[serial], va, exclusive, "__hugepage_set_anon_rmap")

    def page_check_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        p, v, name = self.pages[pfn], self.vmas[serial], "__page_check_anon_rmap"
        if not self.config["debug_vm"]:
            return
        mine = self.page_av(p)
        self.bug(not mine or not v["anon_vma"], "page_anon_vma(page)->root, vma->anon_vma->root", name)
        assert mine is not None
        self.bug(self.av(mine)["root"] != self.av(v["anon_vma"])["root"], "page_anon_vma(page)->root != vma->anon_vma->root", name)
        self.bug(p["index"] != self.linear(v, va), "page->index != linear_page_index(vma, address)", name)

    def anon_item(self, p: Dict) -> str:
        return "nr_anon_transparent_hugepages" if self.trans_huge(p) else "nr_anon_pages"

    def do_page_add_anon_rmap(self, pfn: int, serial: int, va: int, exclusive: bool) -> None:
        p = self.pages[pfn]
        p["mapcount"] += 1
        first = p["mapcount"] == 1
        if first:
            self.stat[self.anon_item(p)] += 1
        if self.ksm(p):
            return
        self.vm_bug(not p["flags"] & LOCKED, "!PageLocked(page)", "do_page_add_anon_rmap")
        if first:
            self.page_set_anon_rmap(pfn, serial, va, exclusive)
        else:
            self.page_check_anon_rmap(pfn, serial, va)

    def page_add_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        self.do_page_add_anon_rmap(pfn, serial, va, False)

    def page_add_new_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        p, v = self.pages[pfn], self.vmas[serial]
        self.vm_bug(not v["start"] <= va < v["end"], "address < vma->vm_start || address >= vma->vm_end", "page_add_new_anon_rmap")
        p["flags"] |= SWAPBACKED
        p["mapcount"] = 1
        self.stat[self.anon_item(p)] += 1
        self.page_set_anon_rmap(pfn, serial, va, True)
        if p["flags"] & MLOCKED or self.mlocked_by(p, v):
            self.to_list(pfn, 4)
            return
        both = ACTIVE | UNEVICTABLE
        self.vm_bug(p["flags"] & both == both, "PageActive(page) && PageUnevictable(page)", "lru_cache_add_lru")
        self.vm_bug(p["flags"] & LRU, "PageLRU(page)", "lru_cache_add_lru")
        p["flags"] &= ~both
        self.to_list(pfn, 1)

    def page_add_file_rmap(self, pfn: int) -> None:
        p = self.pages[pfn]
        p["mapcount"] += 1
        if p["mapcount"] == 1:
            self.stat["nr_mapped"] += 1
            self.count_mapped(p, 1)

    def page_dup_rmap(self, pfn: int) -> None:
        self.pages[pfn]["mapcount"] += 1

    def page_move_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        p, v = self.pages[pfn], self.vmas[serial]
        self.vm_bug(not p["flags"] & LOCKED, "!PageLocked(page)", "page_move_anon_rmap")
        self.vm_bug(not v["anon_vma"], "!anon_vma", "page_move_anon_rmap")
        self.vm_bug(p["index"] != self.linear(v, va), "page->index != linear_page_index(vma, address)", "page_move_anon_rmap")
        p["mapping"] = ("anon_vma", v["anon_vma"])

    def hugepage_add_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        p, v = self.pages[pfn], self.vmas[serial]
        self.bug(not p["flags"] & LOCKED, "!PageLocked(page)", "hugepage_add_anon_rmap")
        self.bug(not v["anon_vma"], "!anon_vma", "hugepage_add_anon_rmap")
        p["mapcount"] += 1
        if p["mapcount"] == 1:
            self.hugepage_set_anon_rmap(pfn, serial, va, False)

    def hugepage_add_new_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        v = self.vmas[serial]
        self.bug(not v["start"] <= va < v["end"], "address < vma->vm_start || address >= vma->vm_end", "hugepage_add_new_anon_rmap")
        self.pages[pfn]["mapcount"] = 1
        self.hugepage_set_anon_rmap(pfn, serial, va, True)

    # ------------------------------------------------------------ removing
    def page_remove_rmap(self, pfn: int) -> None:
        p = self.pages[pfn]
        p["mapcount"] -= 1
        if p["mapcount"] > 0:
            return
        if (not self.anon(p) or p["flags"] & SWAPCACHE) and self.key_dirty(p):
            self.set_page_dirty(p)
        if self.huge(p):
            return
        if self.anon(p):
            self.uncharge(p)
            self.stat[self.anon_item(p)] -= 1
        else:
            self.stat["nr_mapped"] -= 1
            self.count_mapped(p, -1)
