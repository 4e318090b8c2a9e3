# SPDX-License-Identifier: GPL-2.0-only
"""How a state machine names processes, files and pages, and steps that several of its rules are made of."""

from __future__ import annotations

from hypothesis.stateful import RuleBasedStateMachine

from model.process import HEAP, Mm
from model.vma import EXEC, GROWSDOWN, LOCKED, NORESERVE, READ, SHARED, WRITE
from support.pair import Pair

PROT = {"none": 0, "r": READ, "rw": READ | WRITE, "rx": READ | EXEC, "rwx": READ | WRITE | EXEC}
KNOBS = {
    "swappiness": (0, 25, 50, 75, 100),
    "min_free_kbytes": (0, 16, 32, 48, 64),
    "page_cluster": (0, 1, 2, 3, 4),
    "max_map_count": (1, 4, 6, 65530, 65530),
}
LOCKED_MOST = 64  # pages, where memory is short


class Driving(RuleBasedStateMachine):
    pair: Pair
    page: int  # bytes
    token: int  # the last one
    roomy: bool

    # ------------------------------------------------------------ who and where
    def process(self, who: int) -> tuple[str, Mm]:
        name = sorted(self.pair.processes)[who % len(self.pair.processes)]
        return name, self.pair.processes[name][1]

    def file(self, who: int) -> str:
        return sorted(self.pair.files)[who % len(self.pair.files)]

    def where(self, mm: Mm, spot: tuple[str, int]) -> int:
        """A page: of a VMA, one before its start to one behind its end, of a window, the heap, or the stack and below."""
        base, n = spot
        if base == "vma" and mm.vmas.all:
            n, which = divmod(n, len(mm.vmas.all))
            vma = mm.vmas.all[which]
            at = vma.start - 1 + (n + 1) % (vma.pages + 2)
            return mm.top - 1 if at == mm.top else at
        if base == "high" and self.pair.world.keys:
            return mm.top + n % 40  # takes a level of tables more than a process begins with
        return {"heap": HEAP + n % 24, "stack": mm.top - 1 - n % 48}.get(base, 0x100 + n % 40)

    def span(self, mm: Mm, spot: tuple[str, int], n: int) -> tuple[int, int]:
        start = self.where(mm, spot)
        return start, min(start + n, mm.top) if start < mm.top else start + n

    def bytes(self, start: int, end: int) -> str:
        return f"{start * self.page:#x}, {end - start} * {self.page}"

    def may_lock(self, pages: int) -> bool:
        """So much locked memory leaves room for the rest."""
        locked = sum(v.pages for _, mm in self.pair.processes.values() for v in mm.vmas.all if v.flags & LOCKED)
        return locked + pages <= (40 if self.roomy else 1) * LOCKED_MOST

    def next_token(self) -> int:
        self.token += 1
        return self.token

    def placed(self, mm: Mm, wanted: int, n: int) -> int:
        """Where the machine has put the mapping `v`: where there was room, and where it was asked to, if there is room."""
        start = self.pair.script.names["v"].start // self.page
        assert not mm.vmas.overlapping(start, start + n), "placed over another mapping"
        if wanted and wanted + n <= mm.top and not mm.vmas.overlapping(wanted, wanted + n):
            assert start == wanted, "not placed where it was asked for"
        return start

    # ------------------------------------------------------------ steps
    def map(self, who, spot, n, prot, flags, *, file=None, offset=0):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        bits = PROT[prot] | (SHARED if "shared" in flags else 0) | (LOCKED if "locked" in flags else 0)
        bits |= (GROWSDOWN if "growsdown" in flags else 0) | (NORESERVE if "noreserve" in flags else 0)
        if (bits | mm.def_flags) & LOCKED and not self.may_lock(end - start):
            return
        more = f", file={file}, offset={offset * self.page}" if file else ""
        call = f"{name}.mmap({end - start} * {self.page}, {prot!r}, {flags!r}, addr={start * self.page:#x}, fixed=True{more})"
        model = self.pair.files[file][1] if file else None
        atomic = not mm.vmas.overlapping(start, end)
        self.pair.do(call, lambda: mm.mmap(start, end, bits, model, offset, "populate" in flags), atomic=atomic)

    def write_on(self, name, mm, start, end):
        for at in range(start, end):
            token = self.next_token()
            done = self.pair.do(f"{name}.write({at * self.page:#x}, {token})", lambda at=at, t=token: mm.access(at, "w", t) and None)
            if done[0] == "refused":
                break

    def batch(self, name, mm, places, kinds):
        def model() -> None:
            for i, (at, kind) in enumerate(zip(places, kinds, strict=True)):
                try:
                    mm.access(at, kind)
                except Exception as fault:
                    fault.completed = i
                    raise

        addresses = ", ".join(f"{at * self.page:#x}" for at in places)
        self.pair.do(f"{name}.access([{addresses}], {['rwx'.index(kind) for kind in kinds]})", model)
