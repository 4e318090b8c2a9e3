# SPDX-License-Identifier: GPL-2.0-only
"""Unicorn's CPUs walk the bytes of our tables: frames, faults, accessed and dirty bits and storage keys must agree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("unicorn", reason="the package 'unicorn' is not installed")

from rmapemu.hw import registry
from rmapemu.hw.bench import Mmu
from support.unicorn_cpu import CODE_PFN, CODE_VA, PAGE, S390, TABLES, X86

FAR = [0x2000, 0x4000_0000, 0x7F_0000_0000, 0x3FF_FFF0_0000]
places = st.builds(lambda base, n: base + n * PAGE, st.sampled_from(FAR), st.integers(0, 5))
pfns = st.integers(CODE_PFN + 1, 511)
maps = st.lists(st.tuples(places, pfns, st.integers(0, 15), st.booleans()), max_size=12)
outside = st.sampled_from([1 << 47, 0xFFFF_8000_0000_0000, 1 << 62, 0x8000_0000_0000_2000])
leaves = st.tuples(st.integers(3, 5), st.sampled_from([2, 3]), st.integers(1, 15), st.integers(0, 511))
EXAMPLES = settings(max_examples=15)


def build(arch, mapped):
    """Our MMU with these pages and the code page, and the code page accessed as the CPU will."""
    backend = registry.get(arch)
    mmu = Mmu(backend, frames=TABLES)
    mmu.map(CODE_VA, CODE_PFN, 5)
    for va, pfn, prot, write in mapped:
        mmu.map(va, pfn, prot, write=write and prot & 7 != 0)
    return mmu


def agree(mmu, cpu, work):
    """Every access ends in the same frame, or in a fault, on both."""
    for n, (va, kind) in enumerate(work):
        ours = mmu.access(va, kind, how="traced")[2].tolist()
        theirs = cpu.access(va, kind, ours, 0xABC000 + n)
        assert ours == ([] if theirs is None else [theirs]), (hex(va), kind)


@EXAMPLES
@given(mapped=maps, huge=st.lists(leaves, max_size=2),
       work=st.lists(st.tuples(st.one_of(places, places, outside), st.sampled_from("rwx")), max_size=30))
def test_x86_frames_faults_accessed_and_dirty_bits_agree(mapped, huge, work):
    mmu = build("x86_64", mapped)
    f = mmu.backend.format
    for slot, block, prot, page in huge:
        mmu.set_huge(slot << 21, f.mk_pte(block * 512, f.prot[prot]))
        work = [*work, (((slot << 21) + page * PAGE), "r"), ((slot << 21) + (page ^ 5) * PAGE, "w"), ((slot << 21) + page * PAGE, "x")]
    mmu.access(CODE_VA, "x")
    cpu = X86(mmu.memory, mmu.root())
    agree(mmu, cpu, work)
    assert cpu.tables() == mmu.memory.tobytes()


def test_x86_agrees_on_every_protection_of_the_kernel():
    for prot in range(16):
        for write in (False, True):
            mmu = build("x86_64", [(0x5000, 400, prot, write)])
            mmu.access(CODE_VA, "x")
            cpu = X86(mmu.memory, mmu.root())
            agree(mmu, cpu, [(0x5000, "r"), (0x5000, "w"), (0x5000, "x"), (0x6000, "r")])
            assert cpu.tables() == mmu.memory.tobytes()


@EXAMPLES
@given(mapped=maps, grow=st.booleans(),
       work=st.lists(st.tuples(st.one_of(places, places, outside), st.sampled_from("rw")), max_size=30))
def test_s390_frames_faults_and_keys_agree(mapped, grow, work):
    mmu = build("s390", mapped)
    if grow:
        assert mmu.grow(1 << 43) == 0
        mmu.map((1 << 42) + 0x5000, 444, 11)
    work = [*work, ((1 << 42) + 0x5000, "r"), ((1 << 42) + 0x6000, "r")]
    cpu = S390(mmu.memory, mmu.root(), mmu.levels())
    agree(mmu, cpu, work)
    used = {pfn for _, pfn, _, _ in mapped} | {444}
    assert [cpu.key_op(cpu.ISKE, pfn)[0] for pfn in used] == [mmu.keys[pfn] for pfn in used]


@EXAMPLES
@given(steps=st.lists(st.tuples(st.sampled_from(["r", "w", "young", "dirty", "uptodate"]), st.integers(0, 3)), max_size=40))
def test_s390_keys_agree_after_any_mix_of_accesses_and_key_instructions(steps):
    mmu = build("s390", [(0x5000 + n * PAGE, 400 + n, 11, True) for n in range(4)])
    cpu = S390(mmu.memory, mmu.root(), mmu.levels())
    for what, n in steps:
        pfn = 400 + n
        if what in "rw":
            agree(mmu, cpu, [(0x5000 + n * PAGE, what)])
        elif what == "young":
            assert mmu.test_and_clear_young(pfn) == cpu.key_op(cpu.RRBE, pfn)[1] >> 1
        elif what == "dirty":
            key = cpu.key_op(cpu.ISKE, pfn)[0]
            assert mmu.test_and_clear_dirty(pfn) == key >> 1 & 1
            if key & 2:
                cpu.key_op(cpu.SSKE, pfn, key & ~2)
        else:
            mmu.set_uptodate(pfn)
            cpu.key_op(cpu.SSKE, pfn, 0)
        assert cpu.key_op(cpu.ISKE, pfn)[0] == mmu.keys[pfn]
