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
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from model.process import HEAP
from model.vma import LOCKED, SHARED
from support.driving import KNOBS, PROT, Driving
from support.pair import Pair

STEPS = int(os.environ.get("RMAPEMU_STEPS", "2500"))
LENGTH = 50 if STEPS < 100000 else 150  # steps of an example
WHO = st.integers(0, 7)
PLACE = st.tuples(st.sampled_from(["low", "low", "low", "vma", "vma", "heap", "stack", "high"]), st.integers(0, 95))  # for what is new
SPOT = st.tuples(st.sampled_from(["vma"] * 12 + ["low", "heap", "stack"]), st.integers(0, 95))  # for what is mostly there
EXTRA = st.sampled_from(["", "", "", "", "|locked", "|populate", "|growsdown", "|noreserve"])
PAGES = st.integers(1, 12)
RARELY = st.sampled_from([False, False, False, False, True])
FAILING = st.sampled_from([""] * 6 + ["page", "vm_area_struct", "anon_vma", "anon_vma_chain", "mm_struct", "heap"])
PROTS = st.sampled_from(["rw", "rw", "rw", "rw", *sorted(PROT)])
SHARING = st.sampled_from(["shared", "shared", "private", "private", "private|noreserve"])
KINDS = st.sampled_from("rrwwx")
BYTES = st.integers(0, 12 * 4096) | st.integers(0, 12).map(lambda n: n * 4096)


class Steps(Driving):
    arch, memory, swap, roomy = "x86_64", "32M", "4M", True
    made = 0

    @initialize(mapped=st.sampled_from([True, True, True, False]))
    def boot(self, mapped):
        self.pair = Pair(self.arch, self.memory, self.swap, roomy=self.roomy)
        self.page = self.pair.page
        self.token, self.areas = 0, 1
        self.pair.spawn()
        if mapped:
            self.pair.create("regular", 6 * self.page)
            self.map_a_file(0, 0, ("low", 0), 8, 1, "rw", "shared")
            self.map_a_file(0, 0, ("low", 8), 8, 0, "rw", "private")
            self.map_private_anonymous_memory(0, ("low", 16), 12, "rw", "")
            self.pair.create("shmem", 9 * self.page)
            self.map_a_file(0, 1, ("low", 28), 10, 0, "rw", "shared")
            for spot in ("low", 2), ("low", 10), ("low", 16), ("low", 30):
                self.write_a_run(0, spot, 4)

    def teardown(self):
        if hasattr(self, "pair"):
            type(self).made += self.pair.steps
            self.pair.script.m.close()

    # ------------------------------------------------------------ mappings
    @rule(who=WHO, spot=PLACE, n=PAGES, prot=PROTS, extra=EXTRA)
    def map_private_anonymous_memory(self, who, spot, n, prot, extra):
        self.map(who, spot, n, prot, "private|anonymous" + extra)

    @rule(who=WHO, spot=PLACE, n=PAGES, prot=PROTS)
    def map_shared_anonymous_memory(self, who, spot, n, prot):
        self.map(who, spot, n, prot, "shared|anonymous")

    @precondition(lambda self: self.pair.files)
    @rule(who=WHO, which=WHO, spot=PLACE, n=PAGES, offset=st.integers(0, 6), prot=PROTS, flags=SHARING)
    def map_a_file(self, who, which, spot, n, offset, prot, flags):
        self.map(who, spot, n, prot, flags, file=self.file(which), offset=offset)

    @rule(who=WHO, n=PAGES, prot=PROTS, hint=st.none() | SPOT)
    def map_where_there_is_room(self, who, n, prot, hint):
        name, mm = self.process(who)
        if mm.def_flags & LOCKED and not self.may_lock(n):
            return
        wanted = self.where(mm, hint) if hint else 0

        def model() -> None:
            start = 0 if mm.many() else self.placed(mm, wanted, n)
            mm.mmap(start, start + n, PROT[prot])

        self.pair.do(f"{name}.mmap({n} * {self.page}, {prot!r}, addr={wanted * self.page:#x})", model, name="v", trial=False)

    @rule(who=WHO, spot=SPOT, n=PAGES)
    def unmap(self, who, spot, n):
        name, mm = self.process(who)
        start, end = self.span(mm, spot, n)
        self.pair.do(f"{name}.munmap({self.bytes(start, end)})", lambda: mm.munmap(start, end))

    @rule(who=WHO, which=WHO, first=WHO, n=PAGES, index=st.integers(0, 9), nonblock=st.booleans())
    def remap_pages_of_a_file(self, who, which, first, n, index, nonblock):
        """Of a tmpfs file in place; of a regular one by a mapping of its own for the range."""
        name, mm = self.process(who)
        mapped = [v for v in mm.vmas.all if v.flags & SHARED for _ in range(3 if v.file.kind == "shmem" else 1)]
        if not mapped:
            return
        vma = mapped[which % len(mapped)]
        start = vma.start + first % vma.pages
        end = min(start + n, vma.end + (n == 12))
        call = f"{name}.remap_file_pages({self.bytes(start, end)}, {index}, nonblock={nonblock})"
        # a mapping of its own replaces what was there, and that is gone by the time that an allocation fails
        trial = vma.file.kind == "shmem"
        self.pair.do(call, lambda: mm.remap_file_pages(start, end, index, nonblock=nonblock), trial=trial)

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
        self.write_on(name, mm, *self.span(mm, spot, n))

    @precondition(lambda self: len(self.pair.processes) < 6)
    @rule(who=WHO, spot=SPOT, n=PAGES, both=st.booleans())
    def write_and_fork(self, who, spot, n, both):
        """And perhaps write again, in the child."""
        self.write_a_run(who, spot, n)
        name, mm = self.process(who)
        child = self.pair.fork(name)
        if both:
            self.write_on(child, self.pair.processes[child][1], *self.span(mm, spot, n))

    @rule(who=WHO, spots=st.lists(st.tuples(SPOT, KINDS), min_size=1, max_size=12))
    def access_a_batch(self, who, spots):
        name, mm = self.process(who)
        self.batch(name, mm, [self.where(mm, spot) for spot, _ in spots], [kind for _, kind in spots])

    @rule(who=WHO)
    def read_all_there_is(self, who):
        """Through every mapping (of a stack, what lies near its top), on from each page that cannot be read."""
        name, mm = self.process(who)
        for at in [p for v in mm.vmas.all for p in range(max(v.start, v.end - 48), v.end)]:
            self.pair.do(f"{name}.read({at * self.page:#x})", lambda at=at: mm.access(at))

    # ------------------------------------------------------------ processes
    @precondition(lambda self: len(self.pair.processes) < 6)
    @rule(who=WHO)
    def fork(self, who):
        self.pair.fork(self.process(who)[0])

    @rule(who=WHO, really=RARELY, shift=st.sampled_from([0, 0, 1, 2, 40]))
    def exec(self, who, really, shift):
        name, mm = self.process(who)
        if really:
            self.pair.do(f"{name}.exec(stack_shift={shift} * {self.page})", lambda: mm.exec(shift), atomic=True)

    @rule(who=WHO, really=RARELY)
    def exit(self, who, really):
        """Of a parent, of a child; the last one is followed by a new one."""
        if not really and len(self.pair.processes) < 5:
            return
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
    @rule(which=WHO, offset=st.just(0) | BYTES, size=st.just(48 * 4096) | BYTES)
    def write_a_file_back(self, which, offset, size):
        name = self.file(which)
        # how much reclaim has left to write back is its own affair
        self.pair.do(f"{name}.msync({offset}, {size})", lambda: (self.pair.files[name][1].msync(offset, size), None)[not self.roomy])

    # ------------------------------------------------------------ the machine
    @rule(n=st.integers(100, 600))
    def squeeze(self, n):
        """Another process uses memory for a while: reclaim runs where memory is short."""
        name, script = self.pair.number("p"), self.pair.script
        script.run(f"{name} = m.spawn('squeeze'); v = {name}.mmap({n} * {self.page})")
        script.run(f"{name}.access([v.start + i * {self.page} for i in range({n})], 'w'); {name}.exit()")
        self.pair.world.events["pgfault"] += n

    @rule(call=st.sampled_from(["m.run('kswapd')", "m.tick()"]))
    def let_time_pass(self, call):
        self.pair.do(call, lambda: None)

    @rule(knob=st.sampled_from(sorted(KNOBS)), which=st.integers(0, 4))
    def turn_a_knob(self, knob, which):
        """What reclaim and readahead then do otherwise, nobody but they should see."""
        value = KNOBS[knob][which]
        self.pair.do(f"m.sysctl.__setattr__({knob!r}, {value})", lambda: self.pair.world.knobs.update({knob: value}))

    @rule()
    def drop_caches(self):
        self.pair.do("m.sysctl.__setattr__('drop_caches', 1)", self.pair.world.drop_caches)

    @precondition(lambda self: self.areas < 4)
    @rule(pages=st.integers(2, 100), priority=st.integers(-1, 2))
    def add_swap(self, pages, priority):
        self.areas += 1
        self.pair.do(f"m.swapon({pages} * {self.page}, {priority})", lambda: None, atomic=True)

    @rule(nth=st.sampled_from([1, 1, 1, 2, 2, 3, 4, 6, 9]), count=st.sampled_from([1, 2, 1000]), kind=FAILING)
    def let_an_allocation_fail(self, nth, count, kind):
        """Of the next step in which there is such a one."""
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
