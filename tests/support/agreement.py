# SPDX-License-Identifier: GPL-2.0-only
"""Does a machine say what the model of tests/model says? Compares a dump with the model, and names what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.anon_vma import Slab
from model.page import File, Page, World
from model.process import Mm
from model.vma import ACCOUNT, EXEC, GROWSDOWN, LOCKED, NONLINEAR, NORESERVE, PROT, READ, SHARED, WRITE

FLAGS = {"READ": READ, "WRITE": WRITE, "EXEC": EXEC, "SHARED": SHARED, "GROWSDOWN": GROWSDOWN, "LOCKED": LOCKED, "ACCOUNT": ACCOUNT,
         "NORESERVE": NORESERVE, "NONLINEAR": NONLINEAR}
EVENTS = ("pgfault", "pgmajfault")


class Divergence(AssertionError):
    """The machine and the model differ."""


def same(what: str, real: object, wanted: object) -> None:
    if real != wanted:
        raise Divergence(f"{what}: the machine has {real}, the model {wanted}")


class OneToOne:
    """Names of the machine's objects (serials, frames) against the model's objects, which have other names."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.model: dict[Any, object] = {}
        self.real: dict[int, Any] = {}

    def pair(self, where: str, real: Any, wanted: object) -> None:
        if self.model.setdefault(real, wanted) is not wanted or self.real.setdefault(id(wanted), real) != real:
            raise Divergence(f"{where}: {self.what} {real} of the machine is not the model's {wanted!r:.200}")


@dataclass
class View:
    """A machine's dump beside the model, address spaces by pid."""

    state: dict[str, Any]
    world: World
    slab: Slab
    mms: dict[int, Mm]

    @property
    def page_bytes(self) -> int:
        return self.world.page_bytes

    def each(self) -> list[tuple[int, dict[str, Any], Mm]]:
        same("pids", sorted(self.state["processes"]), sorted(self.mms))
        return [(pid, self.state["processes"][pid], mm) for pid, mm in self.mms.items()]

    # ------------------------------------------------------------ VMAs
    def vma(self, v: dict[str, Any]) -> tuple[int, int, int, int]:
        return v["start"] // self.page_bytes, v["end"] // self.page_bytes, sum(FLAGS.get(name, 0) for name in v["flags"]), v["pgoff"]

    def vmas(self) -> None:
        """Ends, flags, offsets, files; the graph of anon_vmas; the sums that hang on VMAs."""
        files, graph, owners = OneToOne("file"), OneToOne("anon_vma"), {}
        for pid, real, mm in self.each():
            same(f"VMAs of {pid}", [self.vma(v) for v in real["vmas"]], [(v.start, v.end, v.flags, v.pgoff) for v in mm.vmas.all])
            for v, wanted in zip(real["vmas"], mm.vmas.all, strict=True):
                where = f"VMA {v['start']:#x} of {pid}"
                same(f"{where}: has a file", bool(v["file"]), wanted.file is not None)
                if wanted.file is not None:
                    files.pair(where, v["file"], wanted.file)
                same(f"{where}: has an anon_vma", bool(v["anon_vma"]), wanted.anon_vma is not None)
                same(f"{where}: length of its chain", len(v["chain"]), len(wanted.chain))
                for serial, av in zip([v["anon_vma"], *v["chain"]], [wanted.anon_vma, *wanted.chain], strict=True):
                    if av is not None:
                        graph.pair(where, serial, av)
                owners[v["serial"]] = wanted
            for name in ("total_vm", "locked_vm", "def_flags"):
                same(f"{name} of {pid}", real[name], getattr(mm, name))
            same(f"brk of {pid}", (real["start_brk"], real["brk"]), (mm.start_brk, mm.brk_at))
        self.anon_vmas(graph, owners)
        same("committed_as", self.state["machine"]["committed_as"], self.world.committed())

    def anon_vmas(self, graph: OneToOne, owners: dict[int, object]) -> None:
        real = self.state["anon_vmas"]
        same("how many anon_vmas", len(real), len(self.slab.live))
        for serial, av in real.items():
            wanted = graph.model.get(serial)
            if wanted is None:
                # no VMA's any more: kept by those that it is the root of
                same(f"VMAs of anon_vma {serial}", av["vmas"], [])
                continue
            where = f"anon_vma {serial}"
            same(f"{where}: refcount", av["refcount"], wanted.refcount)  # type: ignore[attr-defined]
            graph.pair(f"{where}, root", av["root"], wanted.root)  # type: ignore[attr-defined]
            same(f"{where}: its VMAs in order", [owners[s] for s in av["vmas"]], wanted.vmas)  # type: ignore[attr-defined]

    def flat(self, *, hidden: bool = False) -> None:
        """What each page of each process is, however VMAs are cut.

        `hidden`: an allocation may have failed where the kernel hides that, so that a stack did not get its guard page.
        """
        for pid, real, mm in self.each():
            pages = {p: (flags, pgoff + p - start) for start, end, flags, pgoff in map(self.vma, real["vmas"]) for p in range(start, end)}
            wanted = {p: (v.flags, v.index(p)) for v in mm.vmas.all for p in range(v.start, v.end)}
            guards = {v.start for v in mm.vmas.all if v.flags & GROWSDOWN} if hidden else set()
            same(f"pages of {pid}", pages, {p: what for p, what in wanted.items() if p in pages or p not in guards})
            same(f"brk of {pid}", (real["start_brk"], real["brk"]), (mm.start_brk, mm.brk_at))

    # ------------------------------------------------------------ content
    def _slot(self, entry: dict[str, Any]) -> int:
        _, cached, token = self.state["swap"][entry.get("swap_type", 0)]["slots"][entry["offset"]]
        return self.state["pages"][cached]["token"] if cached else token

    def contents(self, *, hidden: bool = False) -> None:
        """What stands behind each entry, without touching it: every anonymous page is there, in memory or in swap.

        `hidden`: an allocation may have failed where the kernel hides that, so that pages may not have been brought in or copied.
        """
        frames, slots = OneToOne("frame"), OneToOne("slot")
        for pid, real, mm in self.each():
            entries = {va // self.page_bytes: e for va, e in real["entries"].items()}
            for at, e in entries.items():
                where = f"{at * self.page_bytes:#x} of {pid}"
                if e["kind"] == "file":
                    same(f"{where}: names page", e.get("pgoff", 0), mm.elsewhere[at] if at in mm.elsewhere else mm.ptes[at].page.index)
                    continue
                page = mm.ptes[at].page if at in mm.ptes else None
                same(f"{where}: content", self.content(e), mm.peek(at))
                if hidden:
                    continue
                same(f"{where}: has an entry", True, at in mm.ptes)
                if page is None:
                    same(f"{where}: is the zero page", e.get("special", False), True)
                elif e["kind"] == "swap":
                    same(f"{where}: is anonymous", page.file is None, True)
                    slots.pair(where, (e.get("swap_type", 0), e["offset"]), page)
                else:
                    frames.pair(where, e["pfn"], page)
            self.nothing_lost(pid, real, mm, entries, hidden)

    def content(self, entry: dict[str, Any]) -> int:
        if entry["kind"] == "swap":
            return self._slot(entry)
        return 0 if entry.get("special") else self.state["pages"][entry["pfn"]]["token"]

    @staticmethod
    def nothing_lost(pid: int, real: dict[str, Any], mm: Mm, entries: dict[int, Any], hidden: bool) -> None:
        anonymous = [at for at, pte in mm.ptes.items() if pte.page is None or pte.page.file is None]
        gone = [at for at in anonymous if at not in entries and not (hidden and mm.peek(at) == mm.behind(at))]
        same(f"anonymous pages of {pid} that got lost", gone, [])
        mapped = {at: pte.page.index for at, pte in mm.ptes.items() if pte.page is not None and pte.page.file is not None}
        out = {at: (v, i) for at, i in (mapped | mm.elsewhere).items() if (v := mm.vmas.find(at)) is not None and v.flags & NONLINEAR}
        gone = [at for at, (v, i) in out.items() if at not in entries and i != v.index(at)]
        same(f"places of {pid} that are forgotten", gone if not hidden else [], [])
        if not hidden:
            same(f"anonymous pages of {pid}", real["rss"][1] + real["rss"][2], mm.rss[1])

    def files(self, numbers: dict[int, File]) -> None:
        """Sizes of the files that have a name, and content of what is cached."""
        for ino, file in numbers.items():
            real = self.state["files"][ino]
            same(f"size of file {ino}", real["size"], file.size)
            for index, pfn in real["pages"].items():
                if isinstance(pfn, int):
                    same(f"page {index} of file {ino}", self.state["pages"][pfn]["token"], file.content.get(index, 0))

    # ------------------------------------------------------------ where nothing is reclaimed
    def exactly(self, numbers: dict[int, File]) -> None:
        """Entries, frames, mapcounts, resident sizes, faults, counters: one for one."""
        frames: dict[int, Page] = {}
        for pid, real, mm in self.each():
            # where nothing is permitted, what an entry says of stores is up to its encoding
            asked = {at: bool((v := mm.vmas.find(at)) and v.flags & PROT) for at in mm.ptes}
            at_page = {va // self.page_bytes: e for va, e in real["entries"].items() if e["kind"] != "file"}
            named = {va // self.page_bytes: e.get("pgoff", 0) for va, e in real["entries"].items() if e["kind"] == "file"}
            same(f"entries of {pid} that name a page", named, mm.elsewhere)
            entries = {at: bool(e.get("write")) and asked.get(at, True) for at, e in at_page.items()}
            same(f"entries of {pid} (and whether writable)", entries, {at: pte.writable and asked[at] for at, pte in mm.ptes.items()})
            frames |= {e["pfn"]: mm.ptes[at].page for at, e in at_page.items() if not e.get("special")}
            same(f"rss of {pid}", real["rss"], mm.rss)
            for name in ("hiwater_rss", "hiwater_vm", "min_flt", "maj_flt"):
                same(f"{name} of {pid}", real[name], getattr(mm, name))
        for pfn, page in frames.items():
            p = self.state["pages"][pfn]
            same(f"mapcount of frame {pfn}", p["mapcount"], len(page.users))
            same(f"frame {pfn} is mlocked", "mlocked" in p["flags"], page.mlocked)
            if page.file is not None and page.file.kind == "regular":
                same(f"frame {pfn} is dirty", "dirty" in p["flags"], page.dirty)
        for ino, file in numbers.items():
            same(f"pages of file {ino}", sorted(self.state["files"][ino]["pages"]), sorted(file.cache))
        wanted = self.world.vmstat() | {name: self.world.events[name] for name in EVENTS}
        same("vmstat", {name: self.state["vmstat"].get(name, 0) for name in wanted}, wanted)
        for area in self.state["swap"]:
            same("swap in use", (area["inuse_pages"], area["slots"]), (0, {}))
