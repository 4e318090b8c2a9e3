# SPDX-License-Identifier: GPL-2.0-only
"""Random states on the workbench, as lines of a Script: address spaces, VMAs, pages of every kind, entries."""
from __future__ import annotations

import random
from typing import Any

from rmapemu import VmFlag
from support.bench_script import Name, Script

START, HUGE_START = 0x200000, 0x40000000
PAGE = 4096
SLOT = 64 * PAGE                # a small VMA lies in one
LOCKED, LOCKED_OTHER = 1 << 0, 1 << 28
CONFIGS: list[dict[str, bool]] = [
    {}, {}, {}, {"debug_vm": False}, {"migration": False}, {"cluster_mlock_fix": True}, {"cluster_mlock_fix": True},
    {"cgroup_mem": False}, {"hugetlb_page": False}, {"split_ptlocks": False}, {"debug_vm": False, "migration": False},
]


class World:
    """A random state that grows by random lines."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.arch = self.r.choice(["x86_64", "s390"])
        config = dict(self.r.choice(CONFIGS))
        if self.arch == "x86_64" and self.r.random() < 0.1:
            config["transparent_hugepage"] = False
        self.s = Script(self.arch, config)
        self.config = self.s.m.config
        self.huge_pages = 1 << (9 if self.arch == "x86_64" else 8)
        self.mms: list[Name] = []
        self.vmas: dict[Name, tuple[Name, int, int, Name | None, int]] = {}     # mm, start, pages, file, pgoff
        self.kinds: dict[Name, str] = {}                                        # page -> plain, ksm, thp, huge, or its file's kind
        self.filed: dict[Name, tuple[Name, int]] = {}
        self.files: dict[Name, str] = {}
        self.n = 0
        self.s.run("slab_reuse", "none")
        for stat in "nr_anon_pages", "nr_mapped", "nr_anon_transparent_hugepages":
            self.s.run("zone_stat", stat, 100000)
        for _ in range(2):
            self.mm()
            self.file()
        for _ in range(4):
            self.vma()
        for _ in range(3):
            self.page()

    def name(self, kind: str) -> Name:
        self.n += 1
        return Name(f"{kind}{self.n}")

    # ------------------------------------------------------------ what the model knows of it
    def now(self, page: Name) -> dict[str, Any]:
        """The page as it is."""
        p: dict[str, Any] = self.s.state()["pages"][self.s.names[page].pfn]
        return p

    def vma_now(self, vma: Name) -> dict[str, Any]:
        v: dict[str, Any] = self.s.state()["vmas"][self.s.names[vma].serial]
        return v

    def root_lock(self, vma: Name) -> int | None:
        """The state of the lock of its anon_vmas; None: it has none, or one that is freed."""
        avs = self.s.state()["anon_vmas"]
        av = avs.get(self.vma_now(vma)["anon_vma"])
        return None if av is None or av["root"] not in avs else int(avs[av["root"]]["lock"])

    # ------------------------------------------------------------ address spaces, files, VMAs
    def mm(self) -> None:
        if len(self.mms) < 4:
            self.mms.append(self.name("mm"))
            self.s.run("mm", to=self.mms[-1])

    def file(self) -> None:
        if len(self.files) < 2:
            name = self.name("file")
            self.files[name] = self.r.choice(["regular", "shmem"])
            self.s.run("file", 80, self.files[name], to=name)

    def flags(self, file: Name | None) -> int:
        flags = VmFlag.READ | VmFlag.WRITE
        odds = {VmFlag.LOCKED: 0.12, VmFlag.SEQ_READ: 0.2, VmFlag.RAND_READ: 0.1, VmFlag.GROWSDOWN: 0.1, VmFlag.EXEC: 0.2}
        if file:
            odds |= {VmFlag.SHARED: 0.7, VmFlag.NONLINEAR: 0.3}
        elif self.r.random() < 0.1:
            return int(flags | VmFlag.GROWSDOWN | VmFlag.SEQ_READ | VmFlag.RAND_READ)
        for flag, odd in odds.items():
            if self.r.random() < odd:
                flags |= flag
        if flags & VmFlag.NONLINEAR and self.r.random() < 0.2:
            flags |= VmFlag.LOCKED
        return int(flags)

    def free_at(self, mm: Name, start: int, pages: int) -> bool:
        return all(v[0] != mm or start + pages * PAGE <= v[1] or v[1] + v[2] * PAGE <= start for v in self.vmas.values())

    def may_link(self) -> bool:
        """The bench takes i_mmap_mutex for a VMA of a file."""
        return all(not f["lock"] for f in self.s.state()["files"].values())

    def may_free(self) -> bool:
        """Nobody gives up halfway, at a lock, what would be freed again then."""
        return self.s.model.helpful or all(av["lock"] != 2 for av in self.s.state()["anon_vmas"].values())

    def vma(self) -> None:
        if len(self.vmas) > 11 or not self.may_link():
            return
        mm = self.r.choice(self.mms)
        if self.r.random() < 0.2:
            self.huge_vma(mm)
            return
        # clusters of nonlinear ones begin before some
        pages, start = self.r.choice([1, 2, 3, 5, 33, 40]), START + SLOT * self.r.randrange(12) + PAGE * self.r.choice([0, 0, 0, 3, 17])
        if not self.free_at(mm, start, pages):
            return
        file = self.r.choice(list(self.files)) if self.r.random() < 0.5 else None
        pgoff = self.r.choice([0, 0, 1, 2, 30]) if file else start // PAGE
        self.new_vma(mm, start, pages, self.flags(file), pgoff, file)

    def huge_vma(self, mm: Name) -> None:
        pages = self.huge_pages * self.r.choice([1, 2])
        start = HUGE_START + self.huge_pages * PAGE * self.r.randrange(4)
        if self.free_at(mm, start, pages):
            # by hand also where the kernel has no hugetlb pages
            flags = self.flags(None) | (VmFlag.HUGETLB if self.r.random() < 0.5 else 0)
            self.new_vma(mm, start, pages, int(flags), start // PAGE, None)

    def new_vma(self, mm: Name, start: int, pages: int, flags: int, pgoff: int, file: Name | None) -> None:
        name = self.name("v")
        self.s.run("vma", mm, start, pages, flags, pgoff, file, to=name)
        self.vmas[name] = (mm, start, pages, file, pgoff)
        if self.r.random() < 0.8:
            self.s.call("anon_vma_prepare", name)

    def fork(self) -> None:
        if not self.vmas or len(self.vmas) > 11 or not self.may_link():
            return
        parent = self.r.choice(list(self.vmas))
        mm, at = self.r.choice(self.mms), self.vmas[parent]
        if not self.free_at(mm, at[1], at[2]):
            return
        name = self.name("v")
        self.s.run("vma_dup", parent, mm, to=name)
        self.vmas[name] = (mm, *at[1:])
        self.fail()
        got = self.s.call(self.r.choice(["anon_vma_fork", "anon_vma_fork", "anon_vma_clone"]), name, parent)
        if isinstance(got, str) and not self.vma_now(name)["chain"]:
            # as who forks would
            self.s.run("vma_remove", name)
            del self.vmas[name]

    def fail(self) -> None:
        """Perhaps, an allocation of the next call."""
        if self.r.random() < 0.25:
            kinds = self.r.choice([("anon_vma",), ("anon_vma_chain",), ("anon_vma", "anon_vma_chain")])
            self.s.run("fail_alloc", self.r.choice([0, 1, 1, 2, 3]), self.r.choice([1, 1, 2]), kinds, self.r.choice([0, 0, 0xd0]))

    def unlink(self) -> None:
        """And off it goes, with what its entries map."""
        if len(self.vmas) < 3 or not self.may_link() or not self.may_free():
            return
        vma = self.r.choice(list(self.vmas))
        self.s.call("unlink_anon_vmas", vma)
        if not self.vma_now(vma)["chain"]:
            self.s.run("vma_remove", vma)
            del self.vmas[vma]

    # ------------------------------------------------------------ pages
    def page(self) -> None:
        if len(self.kinds) > 10:
            return
        name, r = self.name("p"), self.r.random()
        kind = "plain" if r < 0.4 else "file" if r < 0.75 else "ksm" if r < 0.87 else "thp" if r < 0.94 else "huge"
        if kind == "file":
            if self.s.state()["held_other"]:
                return
            file, index = self.r.choice(list(self.files)), self.r.choice([0, 1, 2, 3, 31, 40])
            if (file, index) in self.filed.values():
                return
            self.s.run("file_page", file, index, to=name)
            self.filed[name] = (file, index)
            kind = self.files[file]
        elif kind == "huge" and not self.config["hugetlb_page"]:
            return
        else:
            self.s.run("page", kind, to=name)
        self.kinds[name] = kind
        self.s.run("count", name, 300)
        if kind == "plain" and self.r.random() < 0.5:
            self.swap(name)
        if self.r.random() < 0.5 and kind != "huge":
            self.s.run("lru", name, self.r.choice(["inactive", "active"]) + ("_file" if kind == "regular" else "_anon"))

    def swap(self, page: Name) -> None:
        """Into the swap cache."""
        offset = self.r.randrange(1, 60)
        if (0, offset) not in self.s.state()["slots"] and not self.s.state()["held_other"]:
            self.s.run("swapcache", page, 0, offset)

    def refill(self) -> None:
        """References, so that no page is freed."""
        for page in self.kinds:
            if self.now(page)["count"] < 150:
                self.s.run("count", page, 300)

    def some_page(self, *kinds: str) -> Name | None:
        found = [page for page, kind in self.kinds.items() if not kinds or kind in kinds]
        return self.r.choice(found) if found else None

    def spot(self, page: Name) -> tuple[Name, int] | None:
        """A VMA that could map the page, and where."""
        file, kind = self.filed.get(page), self.kinds[page]
        big = kind in ("thp", "huge")
        names = [k for k, v in self.vmas.items()
                 if (v[3] == file[0] if file else v[3] is None and (v[1] >= HUGE_START) == big and self.vma_now(k)["anon_vma"])]
        if not names:
            return None
        name = self.r.choice(names)
        _, start, pages, _, pgoff = self.vmas[name]
        index = self.now(page)["index"]
        if big:
            return name, start + PAGE * self.huge_pages * self.r.randrange(pages // self.huge_pages)
        if self.r.random() < 0.7 and pgoff <= index < pgoff + pages:
            return name, start + (index - pgoff) * PAGE
        return name, start + PAGE * self.r.randrange(pages)

    def bits(self) -> dict[str, bool]:
        return {bit: self.r.random() < odd for bit, odd in (("write", 0.5), ("young", 0.5), ("dirty", 0.4))}

    def map(self) -> None:
        """An entry, with or without the accounting that goes with it."""
        page, r = self.some_page(), self.r
        spot = self.spot(page) if page else None
        if page is None or spot is None:
            return
        vma, va = spot
        mm, kind = self.vmas[vma][0], self.kinds[page]
        if kind in ("thp", "huge"):
            self.map_huge(mm, va, page)
        elif r.random() < 0.2:
            other: dict[str, Any] = r.choice([{"swap": (0, r.randrange(1, 9))}, {"migration": page}, {"hwpoison": page},
                                              {"file": r.randrange(70)}, {}])
            self.s.run("set_pte", mm, va, **other)
            return
        else:
            self.s.run("set_pte", mm, va, page, **self.bits(), protnone=r.random() < 0.05)
        self.lock(page)
        self.account(page, vma, va)

    def map_huge(self, mm: Name, va: int, page: Name) -> None:
        thp = self.kinds[page] == "thp"
        tables = self.s.state()["mms"][self.s.names[mm].pid]["tables"]
        if (0, va) not in tables:
            self.s.run("set_pmd", mm, va, page, **self.bits(), splitting=thp and self.r.random() < 0.4)

    def account(self, page: Name, vma: Name, va: int) -> None:
        p, r = self.now(page), self.r
        if page in self.filed:
            self.s.call("page_add_file_rmap", page)
        elif self.kinds[page] == "huge":
            self.s.call(r.choice(["hugepage_add_anon_rmap", "hugepage_add_anon_rmap", "hugepage_add_new_anon_rmap"]), page, vma, va)
        elif r.random() < 0.1 and p["mapcount"] == 0 and not p["flags"] & 1 << 5:
            self.s.call("page_add_new_anon_rmap", page, vma, va)
        elif (p["mapcount"] == 0 and p["mapping"] is None) or r.random() < 0.08:
            self.s.call("do_page_add_anon_rmap", page, vma, va, r.random() < 0.5)
        elif r.random() < 0.1:
            self.s.call("page_add_anon_rmap", page, vma, va)
        else:
            self.s.call("page_dup_rmap", page)

    def lock(self, page: Name, odd: float = 0.97) -> None:
        if not self.now(page)["flags"] & LOCKED and self.r.random() < odd:
            self.s.run("lock_page", page)

    def unlock(self) -> None:
        for page in self.kinds:
            if self.now(page)["flags"] & (LOCKED | LOCKED_OTHER) == LOCKED:
                self.s.run("unlock_page", page)
