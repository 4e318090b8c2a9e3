# SPDX-License-Identifier: GPL-2.0-only
"""All that processes do, in any order, on both archs, with room and without: the machine agrees with the model and with itself.

After every step `machine.check()` must hold, and the model of tests/model must agree on errors, VMAs, the anon_vma graph,
how many anonymous pages each process has (resident or swapped), and what is read. HYPOTHESIS_PROFILE=thorough runs longer.
"""
import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from model.anon_vma import Slab
from model.process import Bus, File, Mm, Segv
from model.vma import EXEC, READ, SHARED, WRITE
from rmapemu import Machine
from rmapemu.errors import BusError, SegmentationFault

BASE, SPAN = 0x100, 48  # pages: all mappings lie in a small window, so that they meet
PROTS = ["none", "r", "rw", "rx", "rwx"]
PAGES = st.integers(BASE, BASE + SPAN - 1)
LENGTHS = st.integers(1, 12)


def bits(prot: str) -> int:
    return sum({"r": READ, "w": WRITE, "x": EXEC}[c] for c in prot) if prot != "none" else 0


class Processes(RuleBasedStateMachine):
    arch = "x86_64"
    memory = "8M"

    def __init__(self) -> None:
        super().__init__()
        self.m = Machine(self.arch, self.memory, swap="4M")
        self.m.sysctl.overcommit_memory = 1
        self.page = self.m.page_size
        self.slab = Slab()
        init = self.m.spawn("init")
        self.pairs = [(init, Mm(self.slab))]
        self.files: list[tuple] = []
        self.token = 0

    files = Bundle("files")

    def teardown(self) -> None:
        self.m.close()

    def pick(self, who: int) -> tuple:
        return self.pairs[who % len(self.pairs)]

    # ------------------------------------------------------------ mappings
    @rule(who=st.integers(0, 7), page=PAGES, n=LENGTHS, prot=st.sampled_from(PROTS))
    def map_private_anonymous_memory(self, who, page, n, prot):
        process, mm = self.pick(who)
        process.mmap(n * self.page, prot, "private|anonymous", addr=page * self.page, fixed=True)
        mm.mmap(page, page + n, bits(prot), False, None, 0)

    @rule(who=st.integers(0, 7), page=PAGES, n=LENGTHS, prot=st.sampled_from(["r", "rw"]))
    def map_shared_anonymous_memory(self, who, page, n, prot):
        process, mm = self.pick(who)
        process.mmap(n * self.page, prot, "shared|anonymous", addr=page * self.page, fixed=True)
        mm.munmap(page, page + n)
        mm.vmas.map(page, page + n, bits(prot) | SHARED, File("shmem", n), 0)

    @rule(target=files, kind=st.sampled_from(["regular", "shmem"]), pages=st.integers(1, 12))
    def create_a_file(self, kind, pages):
        pair = (self.m.file(pages * self.page, kind), File(kind, pages))
        self.files.append(pair)
        return pair

    @rule(
        who=st.integers(0, 7), file=files, page=PAGES, n=LENGTHS, offset=st.integers(0, 6), prot=st.sampled_from(PROTS),
        shared=st.booleans(),
    )
    def map_a_file(self, who, file, page, n, offset, prot, shared):
        process, mm = self.pick(who)
        real, model = file
        flags = "shared" if shared else "private"
        process.mmap(n * self.page, prot, flags, file=real, offset=offset * self.page, addr=page * self.page, fixed=True)
        mm.mmap(page, page + n, bits(prot), shared, model, offset)

    @rule(who=st.integers(0, 7), page=PAGES, n=LENGTHS)
    def unmap(self, who, page, n):
        process, mm = self.pick(who)
        process.munmap(page * self.page, n * self.page)
        mm.munmap(page, page + n)

    @rule(who=st.integers(0, 7), page=PAGES, n=LENGTHS, prot=st.sampled_from(PROTS))
    def protect(self, who, page, n, prot):
        process, mm = self.pick(who)
        if mm.mprotect(page, page + n, bits(prot)):
            process.mprotect(page * self.page, n * self.page, prot)
        else:
            with pytest.raises(OSError, match="Cannot allocate memory"):
                process.mprotect(page * self.page, n * self.page, prot)

    # ------------------------------------------------------------ accesses
    def expect(self, wanted, real):
        """The model's result or error, against the machine's."""
        result, refused = None, None
        try:
            result = wanted()
        except (Segv, Bus) as fault:
            refused = fault
        if refused is None:
            assert real() == result
            return
        with pytest.raises(SegmentationFault if isinstance(refused, Segv) else BusError) as caught:
            real()
        assert (caught.value.address // self.page, caught.value.reason)[: len(refused.args)] == refused.args

    @rule(who=st.integers(0, 7), page=PAGES)
    def read(self, who, page):
        process, mm = self.pick(who)
        self.expect(lambda: mm.read(page), lambda: process.read(page * self.page))

    @rule(who=st.integers(0, 7), page=PAGES)
    def write(self, who, page):
        process, mm = self.pick(who)
        self.token += 1
        self.expect(lambda: mm.write(page, self.token), lambda: process.write(page * self.page, self.token))

    @rule(who=st.integers(0, 7), page=PAGES, n=LENGTHS)
    def write_a_run(self, who, page, n):
        for i in range(n):
            self.write(who, page + i)

    # ------------------------------------------------------------ processes
    @precondition(lambda self: len(self.pairs) < 6)
    @rule(who=st.integers(0, 7))
    def fork(self, who):
        process, mm = self.pick(who)
        self.pairs.append((process.fork(), mm.fork()))

    @precondition(lambda self: len(self.pairs) > 1)
    @rule(who=st.integers(0, 7))
    def exit(self, who):
        process, mm = self.pairs.pop(who % len(self.pairs))
        process.exit()
        mm.exit()

    @rule(n=st.integers(1, 300))
    def squeeze(self, n):
        """Another process uses memory for a while: reclaim runs where memory is short."""
        other = self.m.spawn("squeeze")
        area = other.mmap(n * self.page)
        other.access([area.start + i * self.page for i in range(n)], "w")
        self.slab.serial += 1  # the anon_vma of its only VMA
        other.exit()

    # ------------------------------------------------------------ what must hold
    @invariant()
    def the_machine_is_sound(self):
        self.m.check()

    @invariant()
    def the_model_agrees(self):
        state = self.m.dump()
        serials = {}
        for process, mm in self.pairs:
            real = state["processes"][process.pid]
            assert [(v["start"] // self.page, v["end"] // self.page) for v in real["vmas"]] == [(v.start, v.end) for v in mm.vmas.all]
            for v, wanted in zip(real["vmas"], mm.vmas.all, strict=True):
                assert v["pgoff"] == wanted.pgoff
                assert (v["anon_vma"] or None) == (wanted.anon_vma and wanted.anon_vma.serial)
                assert v["chain"] == [av.serial for av in wanted.chain]
                serials[v["serial"]] = wanted
            assert real["rss"][1] + real["rss"][2] == len(mm.anon)
        graph = {n: (av.root.serial, av.refcount, av.vmas) for n, av in self.slab.live.items()}
        assert {n: (av["root"], av["refcount"], [serials[s] for s in av["vmas"]]) for n, av in state["anon_vmas"].items()} == graph


@pytest.mark.parametrize("memory", ["1M", "8M"])
def test_processes_do_what_the_model_says_whatever_is_swapped_out(arch, memory):
    machine = type("Processes", (Processes,), {"arch": arch, "memory": memory})
    run_state_machine_as_test(machine, settings=settings(max_examples=2 * settings.default.max_examples, stateful_step_count=50))
