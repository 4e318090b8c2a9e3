# SPDX-License-Identifier: GPL-2.0-only
"""Random calls that link VMAs and anon_vmas, find a page's, and lock them."""
from __future__ import annotations

from support.bench_pokes import Pokes
from support.bench_script import Name
from support.bench_world import LOCKED


class Linking(Pokes):
    def __init__(self, seed: int) -> None:
        self.references: list[int] = []         # serials of anon_vmas
        super().__init__(seed)

    # ------------------------------------------------------------ anon_vmas
    def linking(self, page: Name) -> None:
        r, vma = self.r, self.r.choice(list(self.vmas) or [None])
        if vma is None:
            return
        which, lock = r.randrange(9), self.root_lock(vma)
        if which == 0:
            self.fail()
            self.s.call("anon_vma_prepare", vma)
        elif which == 1:
            self.get_one(page, vma)
            self.put_one()
        elif which == 2:
            got = self.s.call("page_lock_anon_vma", page)
            if isinstance(got, int):
                self.under_lock(got)
        elif which == 3 and lock is not None:
            serial = self.vma_now(vma)["anon_vma"]
            if not isinstance(self.s.call("anon_vma_lock", serial), str):
                self.under_lock(serial)
        elif which == 4:
            self.one_by_one(vma)
        elif which == 5 and lock is not None:
            self.roots(vma)
        elif which == 6:
            self.whole_tree(vma)
        else:
            self.s.help(r.random() < 0.5)

    def get_one(self, page: Name, vma: Name) -> None:
        """A reference, by which an anon_vma stays after all of its VMAs."""
        serial = self.vma_now(vma)["anon_vma"]
        if self.r.random() < 0.5:
            got = self.s.call("page_get_anon_vma", page)
            if isinstance(got, int):
                self.references.append(got)
        elif serial in self.s.state()["anon_vmas"]:
            self.s.call("get_anon_vma", serial)
            self.references.append(serial)

    def whole_tree(self, vma: Name) -> None:
        """All VMAs go that have to do with a VMA's root, and last of all a reference to its own anon_vma."""
        avs, serial = self.s.state()["anon_vmas"], self.vma_now(vma)["anon_vma"]
        if len(self.vmas) < 4 or serial not in avs or avs[serial]["root"] not in avs or not self.may_free() or not self.may_link():
            return
        root = avs[serial]["root"]
        self.s.call("get_anon_vma", serial)
        for other in [k for k in self.vmas if any(av in avs and avs[av]["root"] == root for av in self.vma_now(k)["chain"])]:
            self.s.call("unlink_anon_vmas", other)
            if not self.vma_now(other)["chain"]:
                self.s.run("vma_remove", other)
                del self.vmas[other]
        self.put(serial)

    def put_one(self) -> None:
        if self.references and self.may_free() and self.r.random() < 0.5:
            self.put(self.references.pop(self.r.randrange(len(self.references))))

    def put(self, serial: int) -> None:
        """A reference goes, perhaps the last one, and perhaps while someone else still has the lock."""
        avs = self.s.state()["anon_vmas"]
        if serial in avs and avs[serial]["refcount"] > 0 and avs[serial]["root"] in avs:
            if self.s.model.helpful and self.r.random() < 0.3 and avs[avs[serial]["root"]]["lock"] == 0:
                self.s.run("hold", "anon_vma", serial)
            self.s.call("put_anon_vma", serial)

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

    def one_by_one(self, vma: Name) -> None:
        """The steps that linking is made of: an anon_vma that goes again, or that a VMA of another tree has as well."""
        r = self.r
        self.fail()
        serial, entry = self.s.call("anon_vma_alloc"), self.s.call("anon_vma_chain_alloc", r.choice([0xd0, 0x200]))
        if isinstance(serial, int) and isinstance(entry, int) and r.random() < 0.4:
            others = [s for k in self.vmas if (s := self.vma_now(k)["anon_vma"]) in self.s.state()["anon_vmas"]]
            if others and r.random() < 0.5:
                self.s.call("put_anon_vma", serial)
                serial = r.choice(others)
            self.s.call("anon_vma_chain_link", vma, entry, serial)
            return
        if isinstance(entry, int):
            self.s.call("anon_vma_chain_free", entry)
        if isinstance(serial, int):
            last = r.random()
            if last < 0.6:
                self.s.call("anon_vma_ctor" if last < 0.4 else "put_anon_vma", serial)
            if last < 0.4:
                self.s.call("put_anon_vma_last" if last < 0.2 else "anon_vma_free", serial)
            elif last > 0.95:
                self.s.call("anon_vma_free", serial)

    def roots(self, vma: Name) -> None:
        """From one root to the next, as the loops over a VMA's chain do."""
        avs, root = self.s.state()["anon_vmas"], None
        mine = [self.vma_now(k)["anon_vma"] for k in (vma, self.r.choice(list(self.vmas)))]
        for serial in mine:
            if serial in avs and avs[serial]["root"] in avs:
                got = self.s.call("lock_anon_vma_root", root, serial)
                if isinstance(got, str):
                    return
                root = got
        self.s.call("unlock_anon_vma_root", root)
