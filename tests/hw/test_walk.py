# SPDX-License-Identifier: GPL-2.0-only
"""Walks: against a naive walker over the bytes of physical memory, and through caches that nobody may see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.mmu import Fault, NaiveMmu
from rmapemu.hw import registry
from rmapemu.hw.bench import Mmu
from rmapemu.hw.interpreted import Interpreted

PAGE = 4096
ARCHS = ["s390", "x86_64"]

places = st.integers(0, 3).flatmap(
    lambda i: st.integers(0, 5).map(lambda j: (0, 0x3000_0000, 0x7F_0000_0000, 0x3FF_FFF0_0000)[i] + j * PAGE))
mappings = st.lists(st.tuples(places, st.integers(1, 200), st.integers(0, 15), st.booleans()), max_size=12)
accesses = st.lists(st.tuples(places, st.sampled_from("rwx")), max_size=40)
huge_leaves = st.lists(st.tuples(st.integers(40, 42), st.integers(0, 15)), max_size=2)


def build(backend, maps, huge=(), frames=64):
    """An MMU with these pages and level-1 leaves mapped."""
    mmu = Mmu(backend, frames=frames)
    for va, pfn, prot, write in maps:
        mmu.map(va, pfn, prot, write=write and prot & 7 != 0)
    span = 1 << backend.format.level[1].shift
    for n, prot in huge:
        if prot & 7:
            mmu.set_huge(n * span, backend.format.mk_pte(span // PAGE * 3, backend.format.prot[prot]))
    return mmu


def naive(mmu, arch):
    """The naive MMU over a copy of this one's memory."""
    return NaiveMmu(arch, bytearray(mmu.memory.tobytes()), mmu.root(), mmu.levels())


@pytest.mark.parametrize("arch", ARCHS)
@given(maps=mappings, work=accesses, huge=huge_leaves)
def test_every_access_ends_in_the_frame_and_the_bits_of_a_naive_walk(arch, maps, work, huge):
    for backend in (registry.get(arch), Interpreted(registry.get(arch).format)):
        mmu = build(backend, maps, huge, frames=64)
        model = naive(mmu, arch)
        mmu.keys[:] = 0
        for va, kind in work:
            done, _, frames = mmu.access(va, kind, how="traced")
            try:
                assert frames.tolist() == [model.access(va, kind)]
            except Fault:
                assert done == 0
        assert mmu.memory.tobytes() == bytes(model.memory)
        assert {i: int(k) for i, k in enumerate(mmu.keys) if k} == model.key


@pytest.mark.parametrize("arch", ARCHS)
@given(maps=mappings, work=st.lists(st.tuples(places, st.sampled_from([0, 1, 2])), min_size=1, max_size=60))
def test_all_three_ways_to_access_do_the_same(arch, maps, work):
    seen = []
    va = np.array([w[0] for w in work], np.uint64)
    kinds = np.array([w[1] for w in work], np.uint8)
    for how in ("plain", "ahead", "traced"):
        mmu = build(registry.get(arch), maps)
        mmu.demand(11, first_pfn=300)
        result = mmu.access(va, kinds, how=how)[:2]
        seen.append((result, mmu.cost, mmu.memory.tobytes(), mmu.keys.tobytes(), mmu.faults))
    assert seen[0] == seen[1] == seen[2]


def test_a_load_makes_the_entry_young_and_a_store_dirty(x86_64):
    mmu = Mmu(x86_64)
    mmu.set(0x5000, x86_64.format.mk_pte(7, 0x7))
    mmu.access(0x5008, "r")
    assert mmu.get(0x5000) == 0x7027
    mmu.access(0x5008, "w")
    assert mmu.get(0x5000) == 0x7067


def test_a_store_after_a_load_walks_again_to_set_dirty(x86_64):
    mmu = Mmu(x86_64)
    mmu.map(0x5000, 7, 11)
    mmu.access([0x5000, 0x5000], "r")
    mmu.access([0x5000, 0x5000], "w")
    assert mmu.cost["tlb_misses"] == 2


@pytest.mark.parametrize("va", [1 << 47, 0x8000_0000_0000, 0xFFFF_8000_0000_0000, (1 << 64) - 1, 1 << 48 | 0x5000])
def test_kernel_and_non_canonical_addresses_fault(x86_64, va):
    mmu = Mmu(x86_64)
    mmu.map(0x5000, 7, 11)
    mmu.access(0x5000)
    assert mmu.access(va) == (0, 14)
    assert mmu.faults[1] == va
    assert mmu.get(va) is None
    assert mmu.check_address(va, 7) == (None, 0)


def test_prot_none_is_present_to_the_kernel_and_faults_in_the_hardware(backend):
    mmu = Mmu(backend)
    e = mmu.map(0x5000, 7, 0)
    assert mmu.access(0x5000) == (0, 14)
    assert mmu.check_address(0x5000, 7) == (e, 3)


def test_instructions_are_fetched_only_where_nx_is_clear(x86_64):
    mmu = Mmu(x86_64)
    mmu.map(0x5000, 7, 1)
    mmu.map(0x6000, 8, 5)
    assert mmu.access(0x5000, "r") == (1, 0)
    assert mmu.access(0x5000, "x") == (0, 14)       # though the TLB holds it, for loads
    assert mmu.access([0x6000, 0x6000], "x") == (2, 0)


def test_an_access_is_counted_whether_or_not_it_faults_and_a_walk_by_the_levels_it_read(x86_64):
    mmu = Mmu(x86_64)
    mmu.map(0x5000, 7, 1)
    before = mmu.cost["table_levels"]
    assert mmu.access([0x5000, 0x5000, 0x6000]) == (2, 14)
    cost = mmu.cost
    assert (cost["accesses"], cost["tlb_misses"]) == (3, 2)
    assert cost["table_levels"] - before == 4 + 4
    mmu.access(0x40_0000_0000)                          # not even the second level is there
    assert mmu.cost["table_levels"] - before == 9 + 1


def test_the_leaf_cache_changes_no_cost(backend):
    costs = []
    for warm in (False, True):
        mmu = Mmu(backend)
        mmu.map(0x5000, 7, 1)
        if warm:
            mmu.access(0x5000)
            mmu.check_address(0x5000, 7, cached=True)
        before = mmu.cost
        mmu.check_address(0x5000, 7, cached=warm)
        mmu.get(0x5000)
        mmu.get(0x6000)
        mmu.map(0x7000, 9, 1)
        mmu.run("scan", 0x5000, 0x9000)
        costs.append({k: mmu.cost[k] - before[k] for k in ("table_levels", "ptes_examined", "ptes_matched", "ptes_written")})
    assert costs[0] == costs[1]


def test_a_huge_leaf_translates_page_by_page_and_keeps_its_bits_in_one_entry(x86_64):
    mmu = Mmu(x86_64)
    va = 5 << 21
    e = mmu.set_huge(va, x86_64.format.mk_pte(512 * 3, 0x7))
    assert e == 512 * 3 << 12 | 0x87
    assert mmu.get(va) is None
    assert mmu.check_address(va, 512 * 3) == (None, 0)
    assert mmu.access(va + 0x5123, "r", how="traced")[2].tolist() == [512 * 3 + 5]
    assert mmu.get_pmd(va) == e | 0x20
    assert mmu.access(va + 0x6000, "w", how="traced")[2].tolist() == [512 * 3 + 6]
    assert mmu.get_pmd(va) == e | 0x60


def test_a_table_that_becomes_a_huge_leaf_is_forgotten(backend):
    mmu = Mmu(backend)
    mmu.map(0, 7, 1)
    mmu.access(0)
    mmu.set_huge(0, backend.format.mk_pte(0, backend.format.prot[1]))
    mmu.flush_mm()
    assert mmu.access(0x3000, "r", how="traced")[2].tolist() == [3]
    assert mmu.get(0x3000) is None


def test_s390_addresses_from_2_to_the_42_need_a_fourth_level(s390):
    mmu = Mmu(s390)
    mmu.map(0x5000, 7, 1)
    mmu.access(0x5000)
    assert mmu.access((1 << 42) + 0x5000) == (0, 14)
    assert mmu.grow((1 << 42) + PAGE) == 0
    assert mmu.levels() == 4
    assert mmu.get((1 << 42) + 0x5000) is None
    mmu.map((1 << 42) + 0x5000, 9, 1)
    mmu.flush_mm()
    assert mmu.access([0x5000, (1 << 42) + 0x5000], how="traced")[2].tolist() == [7, 9]
    model = naive(mmu, "s390")
    assert model.access((1 << 42) + 0x5000, "r") == 9
    assert mmu.grow(1 << 53) == 0
    assert mmu.grow((1 << 53) + 1) == -22


def test_growing_without_memory_changes_nothing(s390):
    mmu = Mmu(s390)
    mmu.limit_tables(0)
    root = mmu.root()
    assert mmu.grow(1 << 43) == -12
    assert (mmu.root(), mmu.levels()) == (root, 3)
