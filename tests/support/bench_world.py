# SPDX-License-Identifier: GPL-2.0-only
"""Random states on the workbench and random calls of the reverse map, as lines of a Script."""
from __future__ import annotations

import random

from rmapemu import TTU, VmFlag
from support.bench_script import Script

START = 0x200000
PAGE = 4096


class World:
    """A random state that grows by random lines."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.arch = self.r.choice(["x86_64", "s390"])
        config = {"debug_vm": self.r.random() < 0.9, "migration": self.r.random() < 0.9}
        self.s = Script(self.arch, config)
        self.mms: list[str] = []
        self.vmas: dict[str, tuple[str, int, int, str | None, int]] = {}    # mm, start, pages, file, pgoff
        self.anon: list[str] = []
        self.filed: dict[str, tuple[str, int]] = {}
        self.files: list[str] = []
        self.held: list[tuple[str, str]] = []
        self.n = 0
        for _ in range(2):
            self.mm()
            self.file()
        for _ in range(3):
            self.vma()

    def name(self, kind: str) -> str:
        self.n += 1
        return f"{kind}{self.n}"

    def mm(self) -> None:
        if len(self.mms) < 4:
            self.mms.append(self.name("mm"))
            self.s.run(f"{self.mms[-1]} = lab.mm()")

    def file(self) -> None:
        if len(self.files) < 2:
            self.files.append(self.name("file"))
            self.s.run(f"{self.files[-1]} = lab.file(80, {self.r.choice(['regular', 'shmem'])!r})")

    def flags(self, file: str | None) -> int:
        flags = VmFlag.READ | VmFlag.WRITE
        odds = {VmFlag.LOCKED: 0.15, VmFlag.SEQ_READ: 0.2, VmFlag.RAND_READ: 0.1, VmFlag.GROWSDOWN: 0.1, VmFlag.EXEC: 0.2}
        if file:
            odds |= {VmFlag.SHARED: 0.7, VmFlag.NONLINEAR: 0.3}
        for flag, odd in odds.items():
            if self.r.random() < odd:
                flags |= flag
        return int(flags)

    def vma(self) -> None:
        if len(self.vmas) > 9:
            return
        mm, pages = self.r.choice(self.mms), self.r.choice([1, 2, 3, 5, 33, 40])
        start = START + 64 * PAGE * self.r.randrange(12)
        if any(v[0] == mm and abs(v[1] - start) < 64 * PAGE for v in self.vmas.values()):
            return
        file = self.r.choice(self.files) if self.r.random() < 0.5 else None
        pgoff = self.r.choice([0, 0, 1, 2, 30]) if file else start // PAGE
        name = self.name("v")
        self.s.run(f"{name} = lab.vma({mm}, {start:#x}, {pages}, {self.flags(file)}, {pgoff}, {file})")
        self.vmas[name] = (mm, start, pages, file, pgoff)
        if self.r.random() < 0.8:
            self.s.run(f"m.rmap.anon_vma_prepare({name})")

    def fork(self) -> None:
        if not self.vmas or len(self.vmas) > 9:
            return
        parent = self.r.choice(list(self.vmas))
        mm, at = self.r.choice(self.mms), self.vmas[parent]
        if any(v[0] == mm and abs(v[1] - at[1]) < 64 * PAGE for v in self.vmas.values()):
            return
        name = self.name("v")
        self.s.run(f"{name} = lab.vma_dup({parent}, {mm})")
        self.s.run(f"m.rmap.{self.r.choice(['anon_vma_fork', 'anon_vma_fork', 'anon_vma_clone'])}({name}, {parent})")
        self.vmas[name] = (mm, *at[1:])

    def page(self) -> None:
        if len(self.anon) + len(self.filed) > 7:
            return
        name = self.name("p")
        if self.r.random() < 0.5:
            file, index = self.r.choice(self.files), self.r.choice([0, 1, 2, 3, 31, 40])
            if (file, index) in self.filed.values():
                return
            self.s.run(f"{name} = lab.file_page({file}, {index})")
            self.filed[name] = (file, index)
        else:
            self.s.run(f"{name} = lab.page()")
            self.anon.append(name)
        self.s.run(f"for _ in range(60): lab.get_page({name})")
        if self.r.random() < 0.5:
            self.s.run(f"lab.lru({name}, {self.r.choice(['inactive', 'active']) + self.kind(name)!r})")

    def kind(self, name: str) -> str:
        file = self.filed.get(name)
        return "_file" if file and self.s.names[file[0]].kind == "regular" else "_anon"

    def pages(self) -> list[str]:
        return [*self.anon, *self.filed]

    def spot(self, page: str) -> tuple[str, int] | None:
        """A VMA that could map the page, and where."""
        file = self.filed.get(page)
        vmas = [k for k, v in self.vmas.items() if (v[3] == file[0] if file else self.s.names[k].anon_vma is not None)]
        if not vmas:
            return None
        name = self.r.choice(vmas)
        _, start, pages, _, pgoff = self.vmas[name]
        index = self.s.names[page].index
        if self.r.random() < 0.7 and pgoff <= index < pgoff + pages:
            return name, start + (index - pgoff) * PAGE
        return name, start + PAGE * self.r.randrange(pages)

    def map(self) -> None:
        """An entry, with or without the accounting that goes with it."""
        page = self.r.choice(self.pages() or [""])
        spot = self.spot(page) if page else None
        if spot is None:
            return
        vma, va = spot
        mm, r = self.vmas[vma][0], self.r
        if r.random() < 0.2:
            other = r.choice([f"swap=(0, {r.randrange(1, 9)})", f"migration={page}", f"hwpoison={page}", f"file={r.randrange(70)}", ""])
            self.s.run(f"lab.set_pte({mm}, {va:#x}, {other})")
            return
        bits = ", ".join(f"{bit}={r.random() < odd}" for bit, odd in (("write", 0.5), ("young", 0.5), ("dirty", 0.4), ("protnone", 0.05)))
        self.s.run(f"lab.set_pte({mm}, {va:#x}, {page}, {bits})")
        self.lock(page)
        if page in self.filed:
            self.s.call("page_add_file_rmap", page)
        elif (self.s.names[page].mapcount == 0 and self.s.names[page].anon_vma is None) or r.random() < 0.05:
            self.s.call("do_page_add_anon_rmap", page, vma, hex(va), r.random() < 0.5)
        else:
            self.s.call("page_dup_rmap", page)

    def lock(self, page: str, odd: float = 0.97) -> None:
        if not self.s.dead and "locked" not in str(self.s.names[page].flags) and self.r.random() < odd:
            self.s.run(f"lab.lock_page({page})")

    def unlock(self) -> None:
        for page in self.pages():
            if "locked" in str(self.s.names[page].flags) and ("page", page) not in self.held:
                self.s.run(f"lab.unlock_page({page})")

    def poke(self) -> None:
        """Something about a page or an mm that decides what a walk does."""
        r, page, mm = self.r, self.r.choice(self.pages() or [""]), self.r.choice(self.mms)
        what = r.randrange(8)
        if what == 0 and page:
            self.s.run(f"lab.flags({page}, {r.choice(['set', 'clear'])}=PageFlag.{r.choice(['hwpoison', 'dirty', 'mlocked', 'reclaim'])})")
        elif what == 1 and page in self.anon and "swapcache" not in str(self.s.names[page].flags):
            offset = r.randrange(1, 60)
            if not any(self.s.m.dump()["swap"][0]["slots"].get(offset, [0, 0])[:2]):
                self.s.run(f"lab.swapcache({page}, 0, {offset})")
        elif what == 2:
            self.s.run(f"lab.rss({mm}, {r.choice(['anon', 'file'])!r}, {r.randrange(9)})")
        elif what == 3:
            self.s.run(f"lab.hiwater_rss({mm}, {r.randrange(9)})")
        elif what == 4:
            self.s.run(f"lab.set_swap_token({r.choice([mm, None])}); lab.set_current({r.choice([*self.mms, None])})")
        elif what == 5 and self.arch == "s390" and page:
            self.s.run(f"lab.storage_key({page}, {r.choice([0, 2, 4, 6])})")
        elif what == 6:
            vma = r.choice(list(self.vmas) or [""])
            if vma and self.s.names[vma].vm_flags & VmFlag.NONLINEAR:
                self.s.run(f"lab.cursor({vma}, {r.choice([0, 0x20000, 0x40000])})")
        else:
            self.hold(page, mm)

    def hold(self, page: str, mm: str) -> None:
        if self.held and self.r.random() < 0.6:
            lock, owner = self.held.pop()
            self.s.run(f"lab.release({lock!r}, {owner})")
        elif page and "locked" not in str(self.s.names[page].flags) and self.r.random() < 0.5:
            self.s.run(f"lab.hold('page', {page})")
            self.held.append(("page", page))
        elif ("mmap_sem", mm) not in self.held:
            self.s.run(f"lab.hold('mmap_sem', {mm}, {self.r.choice('rw')!r})")
            self.held.append(("mmap_sem", mm))

    def walk(self) -> None:
        r, page = self.r, self.r.choice(self.pages() or [""])
        if not page:
            return
        name = r.choice(["page_referenced", "page_referenced", "try_to_unmap", "try_to_unmap", "try_to_munlock", "page_mkclean",
                         "page_address_in_vma", "page_mapped_in_vma", "page_remove_rmap", "page_move_anon_rmap"])
        mapped = self.s.names[page].mapcount > 0
        if name in ("page_address_in_vma", "page_mapped_in_vma") and self.vmas:
            self.s.call(name, page, r.choice(list(self.vmas)))
        elif name == "page_referenced":
            locked = "locked" in str(self.s.names[page].flags) and ("page", page) not in self.held
            self.s.call(name, page, locked)
        elif name == "try_to_unmap" and (mapped or page in self.filed):
            self.lock(page)
            flags = [TTU.UNMAP] * 3 + [TTU.MIGRATION, TTU.MUNLOCK]
            more = [0, TTU.IGNORE_MLOCK, TTU.IGNORE_ACCESS, TTU.IGNORE_ACCESS | TTU.IGNORE_MLOCK, TTU.IGNORE_HWPOISON]
            self.s.call(name, page, int(r.choice(flags) | r.choice(more)))
        elif (name == "try_to_munlock" and (mapped or page in self.filed)) or name == "page_mkclean":
            self.lock(page)
            self.s.call(name, page)
        elif name == "page_remove_rmap" and mapped:
            self.s.call(name, page)
        elif name == "page_move_anon_rmap" and mapped and page in self.anon:
            spot = self.spot(page)
            if spot:
                self.lock(page)
                self.s.call(name, page, spot[0], hex(spot[1]))

    def step(self) -> None:
        self.r.choice([self.walk] * 8 + [self.map] * 8 + [self.poke] * 5 + [self.page] * 2 + [self.unlock, self.vma, self.fork, self.mm])()


def play(seed: int, steps: int) -> int:
    """Random steps until one kills the machine; how many calls agreed."""
    world = World(seed)
    with world.s.m:
        for _ in range(steps):
            world.step()
            if world.s.dead:
                break
    return world.s.calls
