# SPDX-License-Identifier: GPL-2.0-only
"""What the model of mm/rmap.c stands on: the state that m.lab.state() gives, entries, page flags, failing allocations.

The model changes the state in place as the kernel would, so that after a call it is compared with a new one of the machine's.
"""
from __future__ import annotations

from rmapemu.machine.pte import Pte

from .rmap_lock import Dict, Held, Locks

PAGE, CLUSTER = 4096, 32 * 4096
UNMAP, MIGRATION, MUNLOCK = 0, 1, 2
IGNORE_MLOCK, IGNORE_ACCESS, IGNORE_HWPOISON = 1 << 8, 1 << 9, 1 << 10
SUCCESS, AGAIN, FAIL, MLOCK = range(4)
DIRTY, LRU, ACTIVE, HEAD, TAIL = 1 << 4, 1 << 5, 1 << 6, 1 << 14, 1 << 15
SWAPCACHE, RECLAIM, SWAPBACKED, UNEVICTABLE, MLOCKED, HWPOISON = 1 << 16, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 23
HUGE, LOCKED_OTHER = 1 << 27, 1 << 28
VM_SHARED, VM_GROWSDOWN, VM_LOCKED, VM_SEQ_READ, VM_RAND_READ = 0x8, 0x100, 0x2000, 0x8000, 0x10000
VM_SPECIAL, VM_HUGETLB, VM_NONLINEAR = 0x4000 | 0x40000 | 0x80000 | 0x400, 0x400000, 0x800000
REFERENCED, CHANGED = 4, 2      # of a storage key
LEAF_SHIFT = {"x86_64": 21, "s390": 20}
LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
AVC, ANON_VMA = 2, 3            # kinds of objects: where they stand in what fail_alloc names
BYTES = {AVC: 48, ANON_VMA: 48}
SWAP_COUNT = 9                  # a page for counts beyond a byte
GFP_KERNEL, GFP_NOWAIT_NOWARN, GFP_ATOMIC = 0xd0, 0x200, 0x20
SWAP_MAP_MAX = 0x3e


class State(Locks):
    """The state, and words for it. Pages are named by frame number, VMAs and anon_vmas by serial, address spaces by pid."""

    def __init__(self, arch: str, config: dict[str, bool]) -> None:
        self.config, self.keys, self.shift = config, arch == "s390", LEAF_SHIFT[arch]
        self.held: list[Held] = []
        self.d: Dict = {}
        self.ghosts: dict[int, Dict] = {}       # anon_vmas that are freed: their memory stays what it was
        self.helpful = False                    # who holds a lock that is waited for lets go of it

    def load(self, state: Dict) -> None:
        """Goes on from this state of the machine. What the workbench freed in between keeps its bytes too."""
        before: dict[int, Dict] = self.d["anon_vmas"] if self.d else {}
        for serial in before.keys() - state["anon_vmas"].keys():
            self.ghosts[serial] = before[serial] | {"refcount": 0, "vmas": []}
        self.d = state
        self.cost, self.stat, self.pages, self.vmas = state["cost"], state["vmstat"], state["pages"], state["vmas"]
        self.mms, self.lists = state["mms"], state["lists"]

    # ------------------------------------------------------------ memory
    def refused(self, kind: int, gfp: int) -> bool:
        """Does an order say that this allocation fails?"""
        rule = self.d["fail"]
        nth, _, kinds, bits, _ = rule
        if not nth or not kinds >> kind & 1 or gfp & bits != bits:
            return False
        if nth > 1:
            rule[0] -= 1
            return False
        rule[1] -= 1
        rule[4] += 1
        if rule[1] == 0:
            rule[0] = 0
        return True

    def alloc(self, kind: int, gfp: int) -> bool:
        """kmem_cache_alloc."""
        if self.refused(kind, gfp):
            return False
        self.d["allocated"][kind] += 1
        self.d["live"][kind] += 1
        self.cost["objects_allocated"] += 1
        self.cost["bytes_allocated"] += BYTES[kind]
        return True

    def free(self, kind: int) -> None:
        self.d["live"][kind] -= 1
        self.cost["objects_freed"] += 1
        self.cost["bytes_freed"] += BYTES[kind]

    # ------------------------------------------------------------ pages
    def anon(self, p: Dict) -> bool:
        """PageAnon: KSM's pages are too."""
        return p["mapping"] is not None and p["mapping"][0] != "file"

    def ksm(self, p: Dict) -> bool:
        return p["mapping"] is not None and p["mapping"][0] == "ksm"

    def file_of(self, p: Dict) -> Dict | None:
        return self.d["files"][p["mapping"][1]] if p["mapping"] is not None and p["mapping"][0] == "file" else None

    def huge(self, p: Dict) -> bool:
        return bool(p["flags"] & HUGE) and self.config["hugetlb_page"]

    def trans_huge(self, p: Dict) -> bool:
        return bool(p["flags"] & HEAD) and self.config["transparent_hugepage"]

    def mm(self, v: Dict) -> Dict:
        return self.mms[v["pid"]]

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

    # ------------------------------------------------------------ entries
    def has_table(self, mm: Dict, va: int) -> bool:
        return (0, va >> self.shift << self.shift) in mm["tables"]

    def has_middle(self, mm: Dict, va: int) -> bool:
        """A table of the entries above the leaf tables."""
        shift = self.shift + (9 if self.shift == 21 else 11)
        return (1, va >> shift << shift) in mm["tables"]

    def entry(self, mm: Dict, va: int) -> Pte:
        return mm["entries"].get(va, Pte("none", 0))

    def put(self, mm: Dict, va: int, entry: Pte | None) -> None:
        self.cost["ptes_written"] += 1
        if entry is None:
            mm["entries"].pop(va, None)
        else:
            mm["entries"][va] = entry

    def notify(self, mm: Dict, op: int) -> bool:
        """Each notifier that has the operation is called: did any see the page used?"""
        asked = [operations[op] for operations in mm["notifiers"] if op in operations]
        self.cost["notifier_calls"] += len(asked)
        return any(asked)

    def clear_young(self, mm: Dict, va: int) -> bool:
        """ptep_clear_flush_young_notify."""
        e, young = self.entry(mm, va), False
        if e.young and not self.keys:
            mm["entries"][va] = e._replace(young=False)
            for what in "young_cleared", "ptes_written", "tlb_flush_page":
                self.cost[what] += 1
            young = True
        return self.notify(mm, 0) or young

    def clear_flush(self, mm: Dict, va: int) -> Pte:
        """ptep_clear_flush_notify."""
        old = self.entry(mm, va)
        self.put(mm, va, None)
        self.cost["tlb_flush_page"] += 1
        self.notify(mm, 1)
        return old

    def update_hiwater_rss(self, mm: Dict) -> None:
        """A counter below 0 counts as 0 (get_mm_counter)."""
        mm["hiwater_rss"] = max(mm["hiwater_rss"], max(0, mm["rss"][0]) + max(0, mm["rss"][1]))
