# SPDX-License-Identifier: GPL-2.0-only
"""What tests/model/rmap.py stands on: pages, entries, keys and lists of a dump, and page_add_*_rmap to page_remove_rmap.
"""
from __future__ import annotations

from typing import Any

PAGE = 4096
UNMAP, MIGRATION, MUNLOCK = 0, 1, 2
IGNORE_MLOCK, IGNORE_ACCESS, IGNORE_HWPOISON = 1 << 8, 1 << 9, 1 << 10
SUCCESS, AGAIN, FAIL, MLOCK = range(4)
REFERENCED, CHANGED = 4, 2      # of a storage key
LEAF_SHIFT = {"x86_64": 21, "s390": 20}
CLUSTER = 32 * PAGE
LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")

Dict = dict[str, Any]


class Bug(Exception):
    """BUG_ON or VM_BUG_ON: condition and function."""


class State:
    """One dump of a machine with one zone; the calls are mm/rmap.c's functions, pages by frame number and VMAs by serial."""

    def __init__(self, dump: Dict) -> None:
        self.d = dump
        self.cost, self.stat, self.pages = dump["cost"], dump["vmstat"], dump["pages"]
        self.config, self.machine = dump["machine"]["config"], dump["machine"]
        self.keys = self.machine["arch"] == "s390"
        self.shift = LEAF_SHIFT[self.machine["arch"]]
        self.vmas: dict[int, Dict] = {}
        for pid, process in dump["processes"].items():
            for v in process["vmas"]:
                self.vmas[v["serial"]] = v
                v["pid"] = pid
        self.lists = dump["lists"][0]

    # ------------------------------------------------------------ small words
    def bug(self, condition: bool, text: str, function: str) -> None:
        if condition:
            raise Bug(text, function)

    def vm_bug(self, condition: bool, text: str, function: str) -> None:
        self.bug(condition and self.config["debug_vm"], text, function)

    def anon(self, p: Dict) -> bool:
        return str(p["mapping"]).startswith("anon_vma")

    def owner(self, p: Dict) -> int:
        return int(p["mapping"].split()[1])

    def has(self, p: Dict, flag: str) -> bool:
        return flag in p["flags"]

    def set(self, p: Dict, flag: str, on: bool = True) -> None:
        if on and flag not in p["flags"]:
            p["flags"].append(flag)
        elif not on and flag in p["flags"]:
            p["flags"].remove(flag)

    def flag(self, v: Dict, name: str) -> bool:
        return name in v["flags"]

    def lock(self, name: str) -> None:
        self.cost[f"lock_{name}"] += 1

    def process(self, v: Dict) -> Dict:
        return self.d["processes"][v["pid"]]

    # ------------------------------------------------------------ entries
    def has_table(self, v: Dict, va: int) -> bool:
        base = va >> self.shift << self.shift
        return any(level == 0 and at == base for level, at, _ in self.process(v)["tables"])

    def entry(self, v: Dict, va: int) -> Dict:
        return self.process(v)["entries"].get(va, {"kind": "none"})

    def put(self, v: Dict, va: int, entry: Dict | None) -> None:
        self.cost["ptes_written"] += 1
        if entry is None:
            self.process(v)["entries"].pop(va, None)
        else:
            self.process(v)["entries"][va] = entry

    def clear_young(self, v: Dict, va: int) -> bool:
        """ptep_clear_flush_young."""
        e = self.entry(v, va)
        if self.keys or not e.get("young"):
            return False
        del e["young"]
        self.cost["young_cleared"] += 1
        self.cost["ptes_written"] += 1
        self.cost["tlb_flush_page"] += 1
        return True

    def clear_flush(self, v: Dict, va: int) -> Dict:
        old = self.entry(v, va)
        self.put(v, va, None)
        self.cost["tlb_flush_page"] += 1
        self.process(v)["tlb"].pop(va, None)
        return old

    def check_address(self, pfn: int, v: Dict, va: int, sync: bool) -> Dict | None:
        """__page_check_address: the entry, its lock taken."""
        if not self.has_table(v, va):
            return None
        self.cost["ptes_examined"] += 1
        e = self.entry(v, va)
        if e["kind"] != "present" and not sync:
            return None
        self.lock("ptl")
        if e["kind"] != "present" or e["pfn"] != pfn:
            return None
        self.cost["ptes_matched"] += 1
        return e

    def update_hiwater_rss(self, mm: Dict) -> None:
        """A counter below 0 counts as 0 (get_mm_counter)."""
        mm["hiwater_rss"] = max(mm["hiwater_rss"], max(0, mm["rss"][0]) + max(0, mm["rss"][1]))

    def vma_address(self, p: Dict, v: Dict) -> int | None:
        va = v["start"] + (p["index"] - v["pgoff"]) * PAGE
        return va if v["start"] <= va < v["end"] else None

    def page_address_in_vma(self, pfn: int, serial: int) -> int | None:
        p, v = self.pages[pfn], self.vmas[serial]
        if self.anon(p):
            avs = self.d["anon_vmas"]
            if not v["anon_vma"] or avs[v["anon_vma"]]["root"] != avs[self.owner(p)]["root"]:
                return None
        elif p["mapping"] is None or self.flag(v, "NONLINEAR") or not v["file"] or v["file"] != self.owner(p):
            return None
        return self.vma_address(p, v)

    def page_mapped_in_vma(self, pfn: int, serial: int) -> int:
        v = self.vmas[serial]
        va = self.vma_address(self.pages[pfn], v)
        return int(va is not None and self.check_address(pfn, v, va, True) is not None)

    # ------------------------------------------------------------ page flags, keys, lists
    def trylock(self, p: Dict) -> bool:
        if self.has(p, "locked"):
            self.cost["trylock_failed_page"] += 1
            return False
        self.lock("page")
        self.set(p, "locked")
        return True

    def key_young(self, p: Dict) -> bool:
        if not self.keys:
            return False
        self.cost["rrbe"] += 1
        was = p["key"] & REFERENCED
        p["key"] &= ~REFERENCED
        return bool(was)

    def key_dirty(self, p: Dict) -> bool:
        if not self.keys:
            return False
        self.cost["iske"] += 1
        if not p["key"] & CHANGED:
            return False
        self.cost["sske"] += 1
        p["key"] &= ~CHANGED
        return True

    def set_page_dirty(self, p: Dict) -> None:
        mapped_file = p["mapping"] is not None and not self.anon(p)
        if self.has(p, "swapcache") or mapped_file:
            self.set(p, "reclaim", False)
        if self.has(p, "dirty"):
            return
        self.set(p, "dirty")
        if self.has(p, "swapcache"):
            self.lock("tree_lock")
        elif mapped_file and self.d["files"][self.owner(p)]["kind"] == "regular":
            self.lock("tree_lock")
            self.stat["nr_dirty"] += 1
            self.stat["nr_dirtied"] += 1

    def mlock_page(self, pfn: int) -> None:
        """mlock_vma_page: onto the unevictable list if it is on any."""
        p = self.pages[pfn]
        self.bug(not self.has(p, "locked"), "!PageLocked(page)", "mlock_vma_page")
        if self.has(p, "mlocked"):
            return
        self.set(p, "mlocked")
        self.stat["nr_mlock"] += 1
        self.stat["unevictable_pgs_mlocked"] += 1
        if not self.has(p, "lru"):
            return
        self.lock("lru_lock")
        for name in LISTS:
            if pfn in self.lists[name]:
                self.lists[name].remove(pfn)
                self.stat[f"nr_{name}"] -= 1
        if not self.has(p, "unevictable"):
            self.stat["unevictable_pgs_culled"] += 1
        self.set(p, "active", False)
        self.set(p, "unevictable")
        self.lock("lru_lock")
        self.lists["unevictable"].insert(0, pfn)
        self.stat["nr_unevictable"] += 1

    # ------------------------------------------------------------ adding and removing
    def check_anon(self, p: Dict, v: Dict, va: int) -> None:
        """__page_check_anon_rmap."""
        if not self.config["debug_vm"]:
            return
        avs = self.d["anon_vmas"]
        if not self.anon(p) or not v["anon_vma"]:
            raise Bug("page_anon_vma(page)->root, vma->anon_vma->root", "__page_check_anon_rmap")
        self.bug(avs[self.owner(p)]["root"] != avs[v["anon_vma"]]["root"], "page_anon_vma(page)->root != vma->anon_vma->root",
                 "__page_check_anon_rmap")
        self.bug(p["index"] != self.linear(v, va), "page->index != linear_page_index(vma, address)", "__page_check_anon_rmap")

    def linear(self, v: Dict, va: int) -> int:
        return (va - v["start"]) // PAGE + v["pgoff"]

    def set_anon(self, p: Dict, v: Dict, va: int, exclusive: bool) -> None:
        """__page_set_anon_rmap."""
        self.bug(not v["anon_vma"], "!anon_vma", "__page_set_anon_rmap")
        if self.anon(p):
            return
        p["mapping"] = f"anon_vma {v['anon_vma'] if exclusive else self.d['anon_vmas'][v['anon_vma']]['root']}"
        p["index"] = self.linear(v, va)

    def do_page_add_anon_rmap(self, pfn: int, serial: int, va: int, exclusive: bool) -> None:
        p, v = self.pages[pfn], self.vmas[serial]
        p["mapcount"] += 1
        if p["mapcount"] == 1:
            self.stat["nr_anon_pages"] += 1
        self.vm_bug(not self.has(p, "locked"), "!PageLocked(page)", "do_page_add_anon_rmap")
        if p["mapcount"] == 1:
            self.set_anon(p, v, va, exclusive)
        else:
            self.check_anon(p, v, va)

    def page_add_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        self.do_page_add_anon_rmap(pfn, serial, va, False)

    def page_add_file_rmap(self, pfn: int) -> None:
        p = self.pages[pfn]
        p["mapcount"] += 1
        if p["mapcount"] == 1:
            self.stat["nr_mapped"] += 1

    def page_dup_rmap(self, pfn: int) -> None:
        self.pages[pfn]["mapcount"] += 1

    def page_move_anon_rmap(self, pfn: int, serial: int, va: int) -> None:
        p, v = self.pages[pfn], self.vmas[serial]
        self.vm_bug(not self.has(p, "locked"), "!PageLocked(page)", "page_move_anon_rmap")
        self.vm_bug(not v["anon_vma"], "!anon_vma", "page_move_anon_rmap")
        self.vm_bug(p["index"] != self.linear(v, va), "page->index != linear_page_index(vma, address)", "page_move_anon_rmap")
        p["mapping"] = f"anon_vma {v['anon_vma']}"

    def page_remove_rmap(self, pfn: int) -> None:
        p = self.pages[pfn]
        p["mapcount"] -= 1
        if p["mapcount"] > 0:
            return
        if (not self.anon(p) or self.has(p, "swapcache")) and self.key_dirty(p):
            self.set_page_dirty(p)
        self.stat["nr_anon_pages" if self.anon(p) else "nr_mapped"] -= 1

    # ------------------------------------------------------------ what stands in for a page
    def swap_duplicate(self, p: Dict) -> bool:
        area, offset = self.d["swap"][0], p["private"]
        self.lock("swap_lock")
        slot = area["slots"].setdefault(offset, [0, 0, 0])
        if slot[0] == 0 and slot[1] == 0:
            return False
        slot[0] += 1
        return True

    def migration_entry(self, pfn: int, old: Dict) -> Dict:
        return {"kind": "migration", "pfn": pfn, "swap_type": 31 if old.get("write") else 30}

    def temporary_stack(self, v: Dict) -> bool:
        return self.flag(v, "GROWSDOWN") and self.flag(v, "SEQ_READ") and self.flag(v, "RAND_READ")
