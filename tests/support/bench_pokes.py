# SPDX-License-Identifier: GPL-2.0-only
"""What decides what a walk does in a random state (bench_world.py): locks of others, flags, keys, groups, notifiers, KSM's nodes."""
from __future__ import annotations

from typing import Any

from model.rmap_lock import LOCKS
from rmapemu import PageFlag, VmFlag
from support.bench_script import Name
from support.bench_world import LOCKED, LOCKED_OTHER, PAGE, World

SWAPCACHE = 1 << 16
SINGLE = ("lru_lock", "swap_lock", "mmlist_lock", "tree_lock")


class Pokes(World):
    def __init__(self, seed: int) -> None:
        self.held: list[tuple[str, Name | tuple[Name, int] | None]] = []
        self.nodes: dict[Name, Name] = {}       # page -> stable node
        self.items: list[Name] = []
        self.notifiers: list[Name] = []
        super().__init__(seed)
        self.quiet = self.r.random() < 0.3

    # ------------------------------------------------------------ locks of others
    def is_held(self, lock: str, owner: Name | tuple[Name, int] | None) -> bool:
        state = self.s.state()
        if owner is None:
            return bool(state["held_other"] >> LOCKS.index(lock) & 1)
        if lock == "page":
            return bool(self.now(owner)["flags"] & LOCKED_OTHER)
        if lock == "i_mmap_mutex":
            return bool(state["files"][self.s.names[owner].ino]["lock"] == 2)
        if lock == "anon_vma":
            return owner in self.vmas and self.root_lock(owner) == 2
        where = owner[0] if isinstance(owner, tuple) else owner
        mm = state["mms"][self.s.names[where].pid]
        if lock == "mmap_sem":
            return bool(mm["mmap_sem_other"])
        if where is not owner and self.config["split_ptlocks"]:
            return owner[1] in mm["pte_locks_other"]
        return bool(mm["page_table_lock_other"] == (1 if lock == "page_table_lock" else 2))

    def hold(self) -> None:
        if self.held and self.r.random() < 0.7:
            lock, owner = self.held.pop(self.r.randrange(len(self.held)))
            if self.is_held(lock, owner):
                self.s.run("release", lock, *([owner] if owner else []))
            return
        what = self.r.randrange(8)
        state = self.s.state()
        page, mm, file = self.some_page(), self.r.choice(self.mms), self.r.choice(list(self.files))
        vma = self.r.choice(list(self.vmas)) if self.vmas else None
        now = state["mms"][self.s.names[mm].pid]
        if what < 2 and page and not self.now(page)["flags"] & LOCKED:
            self.take("page", page)
        elif what < 4 and not now["mmap_sem_other"]:
            self.take("mmap_sem", mm, self.r.choice("rw"))
        elif what == 4:
            self.hold_ptl(mm, now)
        elif what == 5 and not state["files"][self.s.names[file].ino]["lock"]:
            self.take("i_mmap_mutex", file)
        elif what == 6 and vma and self.root_lock(vma) == 0:
            self.take("anon_vma", vma)
        elif what == 7 and not state["held_other"]:
            self.take(self.r.choice(SINGLE), None)

    def hold_ptl(self, mm: Name, now: dict[str, Any]) -> None:
        """That of one of the leaf tables, page_table_lock, or all."""
        tables = sorted(va for level, va in now["tables"] if level == 0)
        if tables and self.config["split_ptlocks"] and self.r.random() < 0.5:
            table = self.r.choice(tables)
            if table not in now["pte_locks_other"]:
                self.take("ptl", (mm, table))
        elif not now["page_table_lock_other"]:
            self.take(self.r.choice(["ptl", "page_table_lock"]), mm)

    def take(self, lock: str, owner: Name | tuple[Name, int] | None, *mode: str) -> None:
        self.s.run("hold", lock, *([owner] if owner else []), *mode)
        self.held.append((lock, owner))

    # ------------------------------------------------------------ what decides what a walk does
    def poke(self) -> None:
        pokes = [self.poke_page, self.poke_page, self.poke_mm, self.poke_ksm, self.poke_group, self.poke_notifier, self.hold]
        # where nobody looks on, walks may be shorter
        self.r.choice(pokes[:2] if self.quiet else pokes)()

    def poke_page(self) -> None:
        r, page = self.r, self.some_page()
        if page is None:
            return
        what, p = r.randrange(5), self.now(page)
        if what == 0:
            bits = r.choice([PageFlag.hwpoison, PageFlag.dirty, PageFlag.mlocked, PageFlag.reclaim])
            self.s.run("flags", page, **{r.choice(["set", "clear", "clear"]): bits})
        elif what == 1 and page not in self.filed and not p["flags"] & SWAPCACHE:
            self.swap(page)
        elif what == 2 and self.arch == "s390":
            self.s.run("storage_key", page, r.choice([0, 2, 4, 6]))
        elif what == 3 and p["flags"] & SWAPCACHE:
            # no room in the slot's byte, so that the next entry asks for memory
            self.s.run("swap_count", 0, p["private"] & 0x7ffffff, 0x3e)
            self.s.run("fail_alloc", r.choice([0, 1, 1]), r.choice([1, 2]), "swap_count")
        else:
            self.refill()

    def poke_mm(self) -> None:
        r, mm, what = self.r, self.r.choice(self.mms), self.r.randrange(5)
        if what == 0:
            self.s.run("rss", mm, r.choice(["anon", "file"]), r.randrange(9))
        elif what == 1:
            self.s.run("hiwater_rss", mm, r.randrange(9))
        elif what == 2:
            self.swap_token(mm)
        elif what == 3:
            self.s.run("set_current", r.choice([*self.mms, None]))
        else:
            vma = r.choice(list(self.vmas) or [None])
            if vma and self.vma_now(vma)["flags"] & VmFlag.NONLINEAR:
                self.s.run("cursor", vma, r.choice([0, 0x20000, 0x40000]))

    def swap_token(self, mm: Name) -> None:
        """Its owner's pages count as used while its mmap_sem is held, other than by itself."""
        self.s.run("set_swap_token", self.r.choice([mm, mm, None]))
        if self.r.random() < 0.5 and not self.s.state()["mms"][self.s.names[mm].pid]["mmap_sem_other"]:
            self.take("mmap_sem", mm, self.r.choice("rw"))

    def poke_ksm(self) -> None:
        r, page = self.r, self.some_page("ksm")
        if page is None:
            return
        if page not in self.nodes:
            self.nodes[page] = self.name("node")
            self.s.run("stable_node", page, to=self.nodes[page])
        elif self.items and not self.held and r.random() < 0.25:
            self.s.run("rmap_item_remove", self.items.pop(r.randrange(len(self.items))))
        else:
            spot = self.spot(page)
            if spot and self.vma_now(spot[0])["anon_vma"] in self.s.state()["anon_vmas"]:
                self.items.append(self.name("item"))
                serial = self.vma_now(spot[0])["anon_vma"]
                va = spot[1] + PAGE * r.choice([0, 0, 0, 40, -40])     # some are of what is unmapped by now
                self.s.run("rmap_item", self.nodes[page], self.vmas[spot[0]][0], va, serial, to=self.items[-1])

    def poke_group(self) -> None:
        r, page = self.r, self.some_page()
        if r.random() < 0.4:
            self.s.run("memcg", r.choice(self.mms), r.randrange(3))
        elif page and not self.now(page)["memcg"][1] & 1:
            self.s.run("charge", page, r.randrange(3), page in self.filed)

    def poke_notifier(self) -> None:
        if self.notifiers and self.r.random() < 0.6:
            self.s.run("notifier_remove", self.notifiers.pop())
        elif len(self.notifiers) < 3:
            self.notifiers.append(self.name("n"))
            saw: list[bool | None] = [True, False, False, None]
            told: list[bool | None] = [True, None]
            self.s.run("notifier", self.r.choice(self.mms), clear_flush_young=self.r.choice(saw), invalidate_page=self.r.choice(told),
                       to=self.notifiers[-1])
