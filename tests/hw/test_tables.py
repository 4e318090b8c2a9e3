# SPDX-License-Identifier: GPL-2.0-only
"""Making and freeing tables: nothing leaks, nothing that a neighbour needs goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu.hw import registry
from rmapemu.hw.bench import Mmu

ARCHS = ["s390", "x86_64"]
TOP_FRAMES = {"s390": 4, "x86_64": 1}


def span(backend, level=1):
    """Bytes below one entry of that level."""
    return 1 << backend.format.level[level].shift


def test_a_new_address_space_has_a_top_table_of_empty_entries(backend):
    mmu = Mmu(backend)
    top = backend.format.level[backend.levels - 1]
    words = mmu.memory[mmu.root() // 8:][:top.table_bytes // 8]
    assert mmu.root() % top.table_bytes == 0
    assert (words == top.empty).all()
    assert mmu.nr_ptes() == 0


def test_freeing_everything_leaves_the_top_table(backend):
    mmu = Mmu(backend)
    before = mmu.table_frames
    for va in (0, span(backend), 5 << 32, (1 << 40) + span(backend)):
        mmu.map(va, 7, 1)
        mmu.access(va)
    assert mmu.nr_ptes() == 4
    mmu.free_range(0, 1 << 41)
    assert mmu.table_frames == before
    assert mmu.nr_ptes() == 0


def test_a_table_that_reaches_below_floor_or_above_ceiling_stays(backend):
    mmu = Mmu(backend)
    s = span(backend)
    for n in range(4):
        mmu.map(n * s + 0x3000, 7, 1)
    mmu.free_range(s + 0x3000, 3 * s, floor=s + 0x1000, ceiling=3 * s - 0x1000)
    assert mmu.nr_ptes() == 4                       # both ends are shared with neighbours
    mmu.free_range(s + 0x3000, 3 * s, floor=s, ceiling=3 * s - 0x1000)
    assert mmu.get(s) is None
    assert mmu.get(2 * s) is not None
    mmu.free_range(s + 0x3000, 3 * s, floor=s, ceiling=3 * s)
    assert mmu.get(2 * s) is None
    assert mmu.get(0) is not None
    assert mmu.get(3 * s) is not None


def test_no_cache_knows_a_table_that_was_freed(backend):
    mmu = Mmu(backend)
    mmu.map(0x3000, 7, 11)
    mmu.access(0x3000)
    mmu.free_range(0, 1 << 40)
    assert mmu.access(0x3000) == (0, 14)            # neither the TLB nor the leaf cache
    assert mmu.get(0x3000) is None
    mmu.map(0x3000, 8, 11)
    assert mmu.access(0x3000, "r", how="traced")[2].tolist() == [8]


def test_two_page_tables_of_s390_share_a_frame(s390):
    mmu = Mmu(s390)
    frames = []
    for n in range(5):
        mmu.map(n << 20, 7, 1)
        frames.append(mmu.table_frames)
    assert frames == [9, 9, 10, 10, 11]             # region-third and segment table: four each
    for n in (0, 2, 4):                             # leaves two halves, in two frames
        mmu.free_range(n << 20, (n + 1) << 20, n << 20, (n + 1) << 20)
    assert mmu.table_frames == 10
    for n in (0, 2):                                # which are used again
        mmu.map(n << 20, 7, 1)
    assert mmu.table_frames == 10


def test_an_entry_that_looks_like_the_mark_of_a_free_half_is_not_taken_for_one(s390):
    mmu = Mmu(s390)
    for n in range(3):
        mmu.map(n << 20, 7, 1)                      # frame 9: tables 0 and 1; frame 10: table 2 and a free half
    leaf = mmu.get_pmd(1 << 20) & ~0x7FF
    marked = mmu.get_pmd(2 << 20) & ~0xFFF | 0x800
    magic = int(mmu.memory[marked // 8]) ^ marked
    mmu.set(1 << 20, magic ^ leaf)
    before = mmu.table_frames
    mmu.free_range(0, 1 << 20, 0, 1 << 20)
    assert mmu.table_frames == before
    assert mmu.get(1 << 20) == magic ^ leaf


@pytest.mark.parametrize("arch", ARCHS)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_any_order_of_making_and_freeing_leaks_no_frame(arch, steps):
    backend = registry.get(arch)
    mmu = Mmu(backend, frames=256)
    s = span(backend)
    live = set()
    for make, n in steps:
        if make:
            mmu.map(n * s, 7 + n, 1)
            live.add(n)
        else:
            mmu.free_range(n * s, (n + 1) * s, n * s, (n + 1) * s)
            live.discard(n)
        assert mmu.nr_ptes() == len(live)
        for i in range(10):
            e = mmu.get(i * s)
            assert e is None if i not in live else backend.format.pfn(e) == 7 + i
    mmu.free_range(0, 1 << 41)
    assert mmu.table_frames == TOP_FRAMES[arch]


@pytest.mark.parametrize("succeed", range(4))
def test_without_memory_for_a_table_what_was_made_can_still_be_freed(backend, succeed):
    mmu = Mmu(backend)
    before = mmu.table_frames
    mmu.limit_tables(succeed)
    try:
        mmu.map(0x3000, 7, 1)
    except MemoryError:
        assert mmu.get(0x3000) is None
    mmu.free_range(0, 1 << 40)
    assert mmu.table_frames == before
    assert mmu.nr_ptes() == 0


def test_a_huge_leaf_is_not_freed_as_a_table(backend):
    mmu = Mmu(backend)
    s = span(backend)
    e = mmu.set_huge(0, backend.format.mk_pte(0, backend.format.prot[1]))
    before = mmu.table_frames
    mmu.free_range(0, s, 0, s)
    assert mmu.get_pmd(0) == e
    assert mmu.table_frames == before
    with pytest.raises(MemoryError):
        mmu.map(0x3000, 7, 1)
