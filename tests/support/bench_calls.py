# SPDX-License-Identifier: GPL-2.0-only
"""Random calls of the reverse map in a random state (bench_world.py), and playing it."""
from __future__ import annotations

from rmapemu import TTU, Swap
from support.bench_pokes import Pokes
from support.bench_script import Name
from support.bench_world import LOCKED, PAGE

TTUS = [TTU.UNMAP] * 3 + [TTU.MIGRATION] * 2 + [TTU.MUNLOCK]
MORE = [0, TTU.IGNORE_MLOCK, TTU.IGNORE_ACCESS, TTU.IGNORE_ACCESS | TTU.IGNORE_MLOCK, TTU.IGNORE_HWPOISON]


class Calls(Pokes):
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
        if part == "anon" or r.random() < 0.9:
            self.lock(page)
        which = r.randrange(4)
        if which == 0:
            self.s.call(f"page_referenced_{part}", page, self.group(), r.choice([0, 1]))
        elif which == 1 and self.pages_may_go(page):
            self.s.call(f"try_to_unmap_{part}", page, self.ttu(page))
        elif which == 2 and self.config["migration"]:
            self.s.walk(f"rmap_walk_{part}", page, Swap.FAIL, r.randrange(4))
        elif page in self.filed:
            self.s.call("page_mkclean_file", self.filed[page][0], page)

    def cluster(self, page: Name) -> None:
        vmas = [k for k, v in self.vmas.items() if v[3] is not None]
        if vmas and self.pages_may_go(page):
            check = self.r.choice([page, None])
            cursor, effort = self.r.choice([0, 0, 0x20000, 0x40000]), self.r.choice([1, 3, 40])
            self.s.call("try_to_unmap_cluster", cursor, effort, self.r.choice(vmas), check)

    def account_more(self, page: Name) -> None:
        r, spot = self.r, self.spot(page)
        if spot is None:
            return
        vma, va = spot
        anon = page not in self.filed
        name = r.choice(["page_remove_rmap", "page_remove_rmap", "page_move_anon_rmap", "page_check_anon_rmap", "page_set_anon_rmap",
                         "hugepage_set_anon_rmap"])
        if name == "page_remove_rmap" and self.now(page)["mapcount"] > 0:
            self.s.call(name, page)
        elif name == "page_move_anon_rmap" and anon and self.now(page)["mapcount"] > 0 and self.kinds[page] != "ksm":
            self.lock(page)
            self.s.call(name, page, vma, va)
        elif name == "page_check_anon_rmap" and self.kinds[page] == "plain" and r.random() < 0.2:
            self.s.call(name, page, vma, va)
        elif name.endswith("set_anon_rmap") and anon and (self.config["hugetlb_page"] or name[0] == "p"):
            self.s.call(name, page, vma, va, r.random() < 0.5)

    # ------------------------------------------------------------ anon_vmas
    def linking(self, page: Name) -> None:
        r, vma = self.r, self.r.choice(list(self.vmas) or [None])
        if vma is None:
            return
        which, lock = r.randrange(6), self.root_lock(vma)
        if which == 0:
            self.fail()
            self.s.call("anon_vma_prepare", vma)
        elif which == 1:
            got = self.s.call("page_get_anon_vma", page)
            if isinstance(got, int) and got in self.s.state()["anon_vmas"] and self.may_free() and r.random() < 0.9:
                self.s.call("put_anon_vma", got)
        elif which == 2:
            got = self.s.call("page_lock_anon_vma", page)
            if isinstance(got, int):
                self.under_lock(got)
        elif which == 3 and lock is not None:
            serial = self.vma_now(vma)["anon_vma"]
            if not isinstance(self.s.call("anon_vma_lock", serial), str):
                self.under_lock(serial)
        else:
            self.s.help(r.random() < 0.5)

    def under_lock(self, serial: int) -> None:
        """Perhaps something that finds the lock taken; then it is free again."""
        page = self.some_page()
        if self.r.random() < 0.3 and page:
            self.s.call("page_referenced", page, bool(self.now(page)["flags"] & LOCKED), None)
        avs = self.s.state()["anon_vmas"]
        root = avs.get(avs[serial]["root"]) if serial in avs else None
        if root and root["lock"] == 1:
            self.s.call("anon_vma_unlock", serial)
        elif self.s.state()["held"]:
            self.s.revive()

    # ------------------------------------------------------------ playing
    def walk(self) -> None:
        page = self.some_page()
        if page is None:
            return
        r = self.r.random()
        kinds = ((0.26, self.referenced), (0.5, self.unmap), (0.58, self.munlock), (0.64, self.mkclean), (0.68, self.rmap_walk),
                 (0.8, self.one), (0.88, self.by_kind), (0.91, self.cluster), (0.96, self.account_more), (1.0, self.linking))
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
            self.r.choice([self.page, self.page, self.unlock, self.vma, self.vma, self.fork, self.fork, self.mm, self.unlink])()


def play(seed: int, steps: int) -> tuple[int, int, int]:
    """Random steps; how many calls agreed, and how many of them ended in a BUG or at a lock."""
    world = Calls(seed)
    with world.s.m:
        for _ in range(steps):
            world.step()
    return world.s.calls, world.s.bugs, world.s.blocked
