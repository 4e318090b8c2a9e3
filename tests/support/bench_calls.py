# SPDX-License-Identifier: GPL-2.0-only
"""Random calls of the reverse map in a random state (bench_world.py), and playing it."""
from __future__ import annotations

from rmapemu import TTU, Swap, VmFlag
from support.bench_linking import Linking
from support.bench_script import Name
from support.bench_world import LOCKED, PAGE

TTUS = [TTU.UNMAP] * 3 + [TTU.MIGRATION] * 2 + [TTU.MUNLOCK]
MORE = [0, TTU.IGNORE_MLOCK, TTU.IGNORE_ACCESS, TTU.IGNORE_ACCESS | TTU.IGNORE_MLOCK, TTU.IGNORE_HWPOISON]


class Calls(Linking):
    # ------------------------------------------------------------ whole walks
    def ttu(self, page: Name) -> int:
        """Mostly what does not end in a BUG: an anonymous page is unmapped where it is in the swap cache."""
        action = self.r.choice(TTUS)
        if action == TTU.UNMAP and page not in self.filed and not self.now(page)["flags"] & 1 << 16 and self.r.random() < 0.9:
            action = TTU.MIGRATION
        return int(action | self.r.choice(MORE))

    def group(self) -> int | None:
        return self.r.choice([None, None, None, 0, 1, 2])

    def referenced(self, page: Name) -> None:
        locked = bool(self.now(page)["flags"] & LOCKED)
        self.s.call("page_referenced", page, locked if self.r.random() < 0.9 else False, self.group())

    def unmap(self, page: Name) -> None:
        if not self.pages_may_go(page):
            return
        self.lock(page)
        self.s.call("try_to_unmap", page, self.ttu(page))

    def munlock(self, page: Name) -> None:
        self.lock(page)
        if self.now(page)["flags"] & 1 << 5 and self.r.random() < 0.9:
            self.s.run("lru", page, None)
        self.s.call("try_to_munlock", page)

    def mkclean(self, page: Name) -> None:
        self.lock(page)
        self.s.call("page_mkclean", page)

    def rmap_walk(self, page: Name) -> None:
        if self.config["migration"]:
            self.lock(page)
            self.s.walk("rmap_walk", page, self.r.choice([Swap.SUCCESS, Swap.FAIL]), self.r.randrange(4))

    def pages_may_go(self, page: Name) -> bool:
        """Enough references for whatever is unmapped."""
        if any(self.now(other)["count"] < 150 for other in self.kinds):
            self.refill()
        return True

    # ------------------------------------------------------------ parts of them
    def one(self, page: Name) -> None:
        spot = self.spot(page)
        if spot is None:
            return
        vma, va = spot
        r, mm = self.r, self.vmas[vma][0]
        name = r.choice(["page_referenced_one", "page_mkclean_one", "try_to_unmap_one", "page_check_address", "page_address_in_vma",
                         "page_mapped_in_vma", "vma_address", "is_vma_temporary_stack", "page_check_address_pmd"])
        thp = self.kinds[page] == "thp"
        if thp and r.random() < 0.4:
            name = "page_check_address_pmd"
        if name == "page_referenced_one":
            self.s.call(name, page, vma, va, r.choice([0, 1, 3]), r.choice([0, 8]))
        elif name == "page_check_address":
            self.s.call(name, page, mm, va, r.random() < 0.5)
        elif name == "page_check_address_pmd":
            if self.config["transparent_hugepage"]:
                self.s.call(name, page, mm, va + PAGE * (r.random() < 0.1), r.choice(["any", "any", "notsplitting", "splitting"]))
        elif name == "is_vma_temporary_stack":
            self.s.call(name, vma)
        elif name in ("page_address_in_vma", "page_mapped_in_vma", "vma_address"):
            self.s.call(name, page, r.choice(list(self.vmas)))
        elif name == "try_to_unmap_one" and not thp and self.pages_may_go(page):
            self.lock(page)
            self.s.call(name, page, vma, va, self.ttu(page))
        elif name == "page_mkclean_one" and not thp:
            self.s.call(name, page, vma, va)

    def by_kind(self, page: Name) -> None:
        """The half of a walk that is for pages of a kind; now and then the wrong one."""
        r, kind = self.r, self.kinds[page]
        part = "file" if page in self.filed else "ksm" if kind == "ksm" else "anon"
        if r.random() < 0.05:
            part = "file"
        if part == "anon" or r.random() < 0.9:
            self.lock(page)
        which = r.randrange(4)
        if which == 0:
            self.s.call(f"page_referenced_{part}", page, self.group(), r.choice([0, 1]))
        elif which == 1 and self.pages_may_go(page):
            self.s.call(f"try_to_unmap_{part}", page, self.ttu(page))
        elif which == 2 and self.config["migration"]:
            self.s.walk(f"rmap_walk_{part}", page, Swap.FAIL, r.randrange(4))
        elif which == 3 and page in self.filed:
            self.s.call("page_mkclean_file", self.filed[page][0], page)

    def cluster(self, page: Name) -> None:
        vmas = [k for k, v in self.vmas.items() if v[3] is not None]
        if vmas and self.pages_may_go(page):
            check, vma = self.r.choice([page, None]), self.r.choice(vmas)
            strange = self.stranger(vma) if self.r.random() < 0.15 else None
            if self.r.random() < 0.3:
                self.unlock()
            cursor, effort = self.r.choice([0, 0, 0x20000, 0x40000]), self.r.choice([1, 3, 40])
            self.s.call("try_to_unmap_cluster", cursor, effort, vma, check)
            if strange:
                self.s.run("set_pte", *strange)

    def stranger(self, vma: Name) -> tuple[Name, int] | None:
        """An anonymous page where none can be, and where that is."""
        page, (mm, start, pages, _, _) = self.some_page("plain"), self.vmas[vma]
        if page is None:
            return None
        va = start + PAGE * self.r.randrange(pages)
        self.s.run("set_pte", mm, va, page, **self.bits(), special=self.r.random() < 0.3)
        return mm, va

    def nowhere(self, page: Name) -> None:
        """All nonlinear mappings of its file are empty for once."""
        vmas = [k for k, v in self.vmas.items() if page in self.filed and v[3] == self.filed[page][0]
                and self.vma_now(k)["flags"] & VmFlag.NONLINEAR]
        if vmas and self.may_link() and self.pages_may_go(page):
            for vma in vmas:
                self.s.run("vma_bounds", vma, self.vmas[vma][1], 0)
            self.unmap(page)
            if self.may_link():
                for vma in vmas:
                    self.s.run("vma_bounds", vma, self.vmas[vma][1], self.vmas[vma][2], self.vmas[vma][4])

    def account_more(self, page: Name) -> None:
        r, spot = self.r, self.spot(page)
        if spot is None:
            return
        vma, va = spot
        anon = page not in self.filed
        name = r.choice(["page_remove_rmap", "page_remove_rmap", "page_move_anon_rmap", "page_check_anon_rmap", "page_set_anon_rmap",
                         "hugepage_set_anon_rmap", "outside"])
        if name == "page_remove_rmap" and self.now(page)["mapcount"] > 0:
            self.s.call(name, page)
        elif name == "page_move_anon_rmap" and anon and self.now(page)["mapcount"] > 0 and self.kinds[page] != "ksm":
            self.lock(page)
            self.s.call(name, page, vma, va)
        elif name == "page_check_anon_rmap" and self.kinds[page] == "plain" and r.random() < 0.2:
            self.s.call(name, page, vma, va)
        elif name == "outside" and anon and r.random() < 0.6:
            self.outside(page, vma)
        elif name.endswith("set_anon_rmap") and anon and (self.config["hugetlb_page"] or name[0] == "p"):
            self.s.call(name, page, vma, va, r.random() < 0.5)

    def outside(self, page: Name, vma: Name) -> None:
        """A new page just before or behind the VMA, and one that moves to a VMA without an anon_vma."""
        _, start, pages, _, _ = self.vmas[vma]
        va = self.r.choice([start - PAGE, start + PAGE * pages])
        bare = [k for k, v in self.vmas.items() if v[3] is None and not self.vma_now(k)["anon_vma"]]
        if self.kinds[page] == "huge":
            self.s.call("hugepage_add_new_anon_rmap", page, vma, va)
        elif self.kinds[page] == "plain" and bare and self.now(page)["mapcount"] > 0:
            self.lock(page)
            other = self.r.choice(bare)
            self.s.call("page_move_anon_rmap", page, other, self.vmas[other][1])
        elif not self.now(page)["flags"] & 1 << 5:
            self.s.call("page_add_new_anon_rmap", page, vma, va)

    # ------------------------------------------------------------ playing
    def walk(self) -> None:
        page = self.some_page()
        if page is None:
            return
        r = self.r.random()
        kinds = ((0.26, self.referenced), (0.5, self.unmap), (0.58, self.munlock), (0.64, self.mkclean), (0.68, self.rmap_walk),
                 (0.8, self.one), (0.88, self.by_kind), (0.905, self.cluster),
                 (0.915, self.nowhere), (0.95, self.account_more), (1.0, self.linking))
        next(call for odd, call in kinds if r < odd)(page)

    def step(self) -> None:
        r = self.r.random()
        if r < 0.55:
            self.walk()
        elif r < 0.8:
            self.map()
        elif r < 0.93:
            self.poke()
        else:
            self.r.choice([self.page, self.page, self.unlock, self.vma, self.vma, self.fork, self.fork, self.mm,
                           self.unlink, self.unlink])()


def play(seed: int, steps: int) -> tuple[int, int, int]:
    """Random steps; how many calls agreed, and how many of them ended in a BUG or at a lock."""
    world = Calls(seed)
    with world.s.m:
        for _ in range(steps):
            world.step()
    return world.s.calls, world.s.bugs, world.s.blocked
