# SPDX-License-Identifier: GPL-2.0-only
"""All that processes and files do, in any order, on both archs, with room and without: the machine agrees with the model.

After every step `machine.check()` must hold and the model of tests/model must agree: on results and errors, VMAs, the graph of
anon_vmas, on who shares what with which content, and, where there is room, on every entry, mapcount and counter. What differs
comes out with the script that made it. RMAPEMU_STEPS=1000000 makes so many steps a test; -rP says how many there were.
"""

import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from model.process import HEAP, Mm
from model.vma import EXEC, LOCKED, READ, SHARED, WRITE
from rmapemu.machine.names import KMEM
from support.pair import Pair

STEPS = int(os.environ.get("RMAPEMU_STEPS", "2500"))
LENGTH = 50
PROT = {"none": 0, "r": READ, "rw": READ | WRITE, "rx": READ | EXEC, "rwx": READ | WRITE | EXEC}
LOCKED_MOST = 64  # pages, where memory is short

WHO = st.integers(0, 7)
SPOT = st.tuples(st.sampled_from(["low", "low", "low", "vma", "heap", "stack"]), st.integers(0, 47))
PAGES = st.integers(1, 12)
PROTS = st.sampled_from(sorted(PROT))
KINDS = st.sampled_from("rrwwx")
BYTES = st.integers(0, 12 * 4096) | st.integers(0, 12).map(lambda n: n * 4096)


class Steps(RuleBasedStateMachine):
    arch, memory, swap, roomy = "x86_64", "32M", "4M", True
    made = 0

    @initialize()
    def boot(self):
        self.pair = Pair(self.arch, self.memory, self.swap, roomy=self.roomy)
        self.page = self.pair.page
        self.token = 0
        self.pair.spawn()

    def teardown(self):
        if hasattr(self, "pair"):
            type(self).made += self.pair.steps
            self.pair.script.m.close()

    # ------------------------------------------------------------ who and where
    def process(self, who: int) -> tuple[str, Mm]:
        name = sorted(self.pair.processes)[who % len(self.pair.processes)]
        return name, self.pair.processes[name][1]

    def file(self, who: int) -> str:
        return sorted(self.pair.files)[who % len(self.pair.files)]

    def where(self, mm: Mm, spot: tuple[str, int]) -> int:
        """A page: of a window that mappings share, near the ends of a VMA, of the heap, or of the stack and below."""
        base, n = spot
        if base == "vma" and mm.vmas.all:
            vma = mm.vmas.all[n % len(mm.vmas.all)]
            return min(vma.start + n // len(mm.vmas.all) - 1, mm.top - 1)
        return {"heap": HEAP + n // 2, "stack": mm.top - 1 - n}.get(base, 0x100 + n)

    def span(self, mm: Mm, spot: tuple[str, int], n: int) -> tuple[int, int]:
        start = self.where(mm, spot)
        return start, min(start + n, mm.top)

    def bytes(self, start: int, end: int) -> str:
        return f"{start * self.page:#x}, {end - start} * {self.page}"

    def may_lock(self, pages: int) -> bool:
        """So much locked memory leaves room for the rest."""
        locked = sum(v.pages for _, mm in self.pair.processes.values() for v in mm.vmas.all if v.flags & LOCKED)
        return self.roomy or locked + pages <= LOCKED_MOST

    def next_token(self) -> int:
        self.token += 1
        return self.token

    # ------------------------------------------------------------ mappings
    def map(self, who, spot, n, prot, flags, *, file=None, offset=0):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        bits = PROT[prot] | (SHARED if "shared" in flags else 0) | (LOCKED if "locked" in flags else 0)
        if (bits | mm.def_flags) & LOCKED and not self.may_lock(end - start):
            return
        more = f", file={file}, offset={offset * self.page}" if file else ""
        call = f"{name}.mmap({end - start} * {self.page}, {prot!r}, {flags!r}, addr={start * self.page:#x}, fixed=True{more})"
        model = self.pair.files[file][1] if file else None
        atomic = not mm.vmas.overlapping(start, end)
        self.pair.do(call, lambda: mm.mmap(start, end, bits, model, offset, "populate" in flags), atomic=atomic)

    @rule(who=WHO, spot=SPOT, n=PAGES, prot=PROTS, extra=st.sampled_from(["", "", "", "|locked", "|populate"]))
    def map_private_anonymous_memory(self, who, spot, n, prot, extra):
        self.map(who, spot, n, prot, "private|anonymous" + extra)

    @rule(who=WHO, spot=SPOT, n=PAGES, prot=PROTS)
    def map_shared_anonymous_memory(self, who, spot, n, prot):
        self.map(who, spot, n, prot, "shared|anonymous")

    @precondition(lambda self: self.pair.files)
    @rule(who=WHO, which=WHO, spot=SPOT, n=PAGES, offset=st.integers(0, 6), prot=PROTS, flags=st.sampled_from(["shared", "private"]))
    def map_a_file(self, who, which, spot, n, offset, prot, flags):
        self.map(who, spot, n, prot, flags, file=self.file(which), offset=offset)

    @rule(who=WHO, n=PAGES, prot=PROTS)
    def map_where_there_is_room(self, who, n, prot):
        name, mm = self.process(who)
        if self.pair.armed or (mm.def_flags & LOCKED and not self.may_lock(n)):
            return

        def model() -> None:
            start = self.pair.script.names["v"].start // self.page
            assert not mm.vmas.overlapping(start, start + n), "placed over another mapping"
            mm.mmap(start, start + n, PROT[prot])

        self.pair.do(f"{name}.mmap({n} * {self.page}, {prot!r})", model, name="v")

    @rule(who=WHO, spot=SPOT, n=PAGES)
    def unmap(self, who, spot, n):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        self.pair.do(f"{name}.munmap({self.bytes(start, end)})", lambda: mm.munmap(start, end))

    @rule(who=WHO, spot=SPOT, n=PAGES, prot=PROTS)
    def protect(self, who, spot, n, prot):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        self.pair.do(f"{name}.mprotect({self.bytes(start, end)}, {prot!r})", lambda: mm.mprotect(start, end, PROT[prot]))

    @rule(who=WHO, size=st.integers(-4096, 20 * 4096) | st.integers(0, 20).map(lambda n: n * 4096))
    def move_the_break(self, who, size):
        name, mm = self.process(who)
        if mm.def_flags & LOCKED and not self.may_lock(max(0, size) // self.page + 1):
            return
        address = HEAP * self.page + size
        self.pair.do(f"{name}.brk({address:#x})", lambda: mm.brk(address))

    # ------------------------------------------------------------ locked memory
    @rule(who=WHO, spot=SPOT, n=PAGES)
    def lock(self, who, spot, n):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        if self.may_lock(end - start):
            self.pair.do(f"{name}.mlock({self.bytes(start, end)})", lambda: mm.mlock(start, end))

    @rule(who=WHO, spot=SPOT, n=PAGES)
    def unlock(self, who, spot, n):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        self.pair.do(f"{name}.munlock({self.bytes(start, end)})", lambda: mm.munlock(start, end))

    @rule(who=WHO, what=st.sampled_from([(True, False), (False, True), (True, True)]))
    def lock_all(self, who, what):
        name, mm = self.process(who)
        current, future = what
        if self.may_lock(mm.total_vm):
            call = f"{name}.mlockall(current={current}, future={future})"
            self.pair.do(call, lambda: mm.mlockall(current=current, future=future))

    @rule(who=WHO)
    def unlock_all(self, who):
        name, mm = self.process(who)
        self.pair.do(f"{name}.munlockall()", mm.munlockall)

    # ------------------------------------------------------------ accesses
    @rule(who=WHO, spot=SPOT)
    def read(self, who, spot):
        name, mm = self.process(who)
        at = self.where(mm, spot)
        self.pair.do(f"{name}.read({at * self.page:#x})", lambda: mm.access(at))

    @rule(who=WHO, spot=SPOT)
    def write(self, who, spot):
        name, mm = self.process(who)
        at, token = self.where(mm, spot), self.next_token()
        self.pair.do(f"{name}.write({at * self.page:#x}, {token})", lambda: mm.access(at, "w", token) and None)

    @rule(who=WHO, spot=SPOT, n=PAGES)
    def write_a_run(self, who, spot, n):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
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

    @rule(who=WHO, spots=st.lists(st.tuples(SPOT, KINDS), min_size=1, max_size=12))
    def access_a_batch(self, who, spots):
        name, mm = self.process(who)
        self.batch(name, mm, [self.where(mm, spot) for spot, _ in spots], [kind for _, kind in spots])

    @rule(who=WHO)
    def read_all_there_is(self, who):
        """Through every mapping that can be read, on from each page that cannot."""
        name, mm = self.process(who)
        for at in [p for v in mm.vmas.all for p in range(v.start, v.end)]:
            self.pair.do(f"{name}.read({at * self.page:#x})", lambda at=at: mm.access(at))

    # ------------------------------------------------------------ processes
    @precondition(lambda self: len(self.pair.processes) < 6)
    @rule(who=WHO)
    def fork(self, who):
        self.pair.fork(self.process(who)[0])

    @rule(who=WHO)
    def exec(self, who):
        name, mm = self.process(who)
        self.pair.do(f"{name}.exec()", mm.exec, atomic=True)

    @rule(who=WHO)
    def exit(self, who):
        """Of a parent, of a child; the last one is followed by a new one."""
        self.pair.exit(self.process(who)[0])
        if not self.pair.processes:
            self.pair.spawn()

    # ------------------------------------------------------------ files
    @precondition(lambda self: len(self.pair.files) < 5)
    @rule(kind=st.sampled_from(["regular", "shmem"]), size=BYTES)
    def create_a_file(self, kind, size):
        self.pair.create(kind, size)

    @precondition(lambda self: self.pair.files)
    @rule(which=WHO)
    def close_a_file(self, which):
        self.pair.close(self.file(which))

    @precondition(lambda self: self.pair.files)
    @rule(which=WHO, size=BYTES)
    def truncate_a_file(self, which, size):
        name = self.file(which)
        self.pair.do(f"{name}.truncate({size})", lambda: self.pair.files[name][1].truncate(size))

    @precondition(lambda self: self.pair.files)
    @rule(which=WHO, offset=BYTES, size=BYTES)
    def write_to_a_file(self, which, offset, size):
        name, token = self.file(which), self.next_token()
        self.pair.do(f"{name}.write({offset}, {size}, {token})", lambda: self.pair.files[name][1].write(offset, size, token))

    @precondition(lambda self: self.pair.files)
    @rule(which=WHO, offset=BYTES, size=BYTES)
    def read_from_a_file(self, which, offset, size):
        name = self.file(which)
        self.pair.do(f"{name}.read({offset}, {size})", lambda: self.pair.files[name][1].read(offset, size))

    @precondition(lambda self: self.pair.files)
    @rule(which=WHO, offset=BYTES, size=BYTES)
    def write_a_file_back(self, which, offset, size):
        name = self.file(which)
        # how much reclaim has left to write back is its own affair
        self.pair.do(f"{name}.msync({offset}, {size})", lambda: (self.pair.files[name][1].msync(offset, size), None)[not self.roomy])

    # ------------------------------------------------------------ the machine
    @rule(n=st.integers(1, 300))
    def squeeze(self, n):
        """Another process uses memory for a while: reclaim runs where memory is short."""
        name, script = self.pair.number("p"), self.pair.script
        script.run(f"{name} = m.spawn('squeeze'); v = {name}.mmap({n} * {self.page})")
        script.run(f"{name}.access([v.start + i * {self.page} for i in range({n})], 'w'); {name}.exit()")
        self.pair.world.events["pgfault"] += n

    @rule(call=st.sampled_from(["m.run('kswapd')", "m.tick()"]))
    def let_time_pass(self, call):
        self.pair.do(call, lambda: None)

    @rule(nth=st.integers(1, 12), count=st.sampled_from([1, 2, 1000]), kind=st.sampled_from(["", "", *KMEM]))
    def let_allocations_of_the_next_step_fail(self, nth, count, kind):
        self.pair.armed = (nth, count, kind)

    # ------------------------------------------------------------ what must hold
    @invariant()
    def the_model_agrees(self):
        if hasattr(self, "pair"):
            self.pair.check()


@pytest.mark.parametrize("room", ["roomy", "tight"])
def test_processes_and_files_do_what_the_model_says(arch, room):
    shape = {"roomy": ("32M", "4M"), "tight": ("1M", "8M")}[room]
    steps = type("Steps", (Steps,), {"arch": arch, "memory": shape[0], "swap": shape[1], "roomy": room == "roomy"})
    examples = max(1, STEPS // LENGTH)
    more = settings(max_examples=examples, stateful_step_count=LENGTH, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(steps, settings=more)
    print(f"{steps.made} operations on {arch}, {room}, without a divergence")
