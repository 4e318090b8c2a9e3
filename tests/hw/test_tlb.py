# SPDX-License-Identifier: GPL-2.0-only
"""What the TLB hides, until it is flushed, and what each flush drops."""

import dataclasses

import numpy as np
import pytest

from rmapemu.hw.bench import Mmu
from rmapemu.hw.interpreted import Interpreted

PAGE = 4096


def misses(mmu, va, kind="r"):
    """TLB misses of these accesses."""
    before = mmu.cost["tlb_misses"]
    mmu.access(va, kind)
    return mmu.cost["tlb_misses"] - before


def mapped(backend, pages):
    """An MMU with these pages mapped for stores."""
    mmu = Mmu(backend, frames=2048)
    for n in pages:
        mmu.map(n * PAGE, 100 + n, 11, write=True)
    return mmu


def test_a_second_access_to_a_page_hits(backend):
    mmu = mapped(backend, [3])
    assert misses(mmu, [0x3000, 0x3FFF, 0x3008]) == 1
    assert mmu.cost["accesses"] == 3


def test_young_cleared_without_a_flush_stays_hidden(x86_64):
    mmu = mapped(x86_64, [3])
    mmu.access(0x3000)
    mmu.set(0x3000, mmu.get(0x3000) & ~0x20)
    mmu.access(0x3000)
    assert not mmu.get(0x3000) & 0x20
    mmu.flush_page(0x3000)
    mmu.access(0x3000)
    assert mmu.get(0x3000) & 0x20


def test_dirty_cleared_without_a_flush_stays_hidden(x86_64):
    mmu = mapped(x86_64, [3])
    mmu.access(0x3000, "w")
    mmu.set(0x3000, mmu.get(0x3000) & ~0x40)
    mmu.access(0x3000, "w")
    assert not mmu.get(0x3000) & 0x40


def test_an_entry_that_was_cleared_still_translates_until_it_is_flushed(backend):
    mmu = mapped(backend, [3])
    mmu.access(0x3000)
    mmu.set(0x3000, backend.format.clear_value)
    assert mmu.access(0x3000) == (1, 0)
    mmu.flush_mm()
    assert mmu.access(0x3000) == (0, 14)


def test_write_protection_is_seen_by_a_store_only_after_a_flush(backend):
    mmu = mapped(backend, [3])
    mmu.access(0x3000, "w")
    mmu.set(0x3000, backend.format.wrprotect(mmu.get(0x3000)))
    assert mmu.access(0x3000, "w") == (1, 0)
    mmu.flush_page(0x3000)
    assert mmu.access(0x3000, "w") == (0, 14)


def test_a_page_flush_drops_one_page(backend):
    mmu = mapped(backend, range(8))
    va = np.arange(8) * PAGE
    mmu.access(va)
    mmu.flush_page(0x3008)
    assert misses(mmu, va) == 1
    assert mmu.cost["tlb_flush_page"] == 1


def test_a_range_flush_drops_all_on_an_arch_whose_kernel_does_so(backend):
    mmu = mapped(backend, range(8))
    va = np.arange(8) * PAGE
    mmu.access(va)
    mmu.flush_range(0x3000, 0x5000)
    assert misses(mmu, va) == 8
    assert mmu.cost["tlb_flush_range"] == 1


@pytest.mark.parametrize("end", [5 * PAGE, 1 << 40])
def test_a_range_flush_drops_the_range_on_an_arch_whose_kernel_does_so(backend, end):
    exact = Interpreted(dataclasses.replace(backend.format, range_flush_is_mm=False))
    mmu = mapped(exact, range(8))
    va = np.arange(8) * PAGE
    mmu.access(va)
    mmu.flush_range(0x3000, end)
    assert misses(mmu, va) == (2 if end < 1 << 40 else 5)
    assert misses(mmu, va[:3]) == 0


def test_an_mm_flush_drops_one_address_space(backend):
    mmu = Mmu(backend, spaces=2)
    for space in (0, 1):
        mmu.map(0x3000, 7, 11, space=space)
        mmu.access(0x3000, space=space)
    mmu.flush_mm(space=0)
    before = mmu.cost["tlb_misses"]
    mmu.access(0x3000, space=1)
    assert mmu.cost["tlb_misses"] == before
    mmu.access(0x3000, space=0)
    assert mmu.cost["tlb_misses"] == before + 1
    assert mmu.cost["tlb_flush_mm"] == 1


def test_pages_a_tlb_apart_evict_each_other_where_it_has_one_way(x86_64):
    sets = 1 << x86_64.format.tlb_sets_lg2
    mmu = mapped(x86_64, [3, 3 + sets])
    assert misses(mmu, np.array([3, 3 + sets] * 4) * PAGE) == 8


@pytest.mark.parametrize("ways", [1, 2, 4])
def test_a_set_holds_as_many_pages_as_the_tlb_has_ways(x86_64, ways):
    backend = Interpreted(dataclasses.replace(x86_64.format, tlb_ways=ways, tlb_sets_lg2=2))
    mmu = mapped(backend, range(0, 40, 4))
    fits = np.arange(0, 4 * ways, 4) * PAGE
    mmu.access(fits)
    assert misses(mmu, fits) == 0
    assert misses(mmu, np.arange(0, 4 * ways + 1, 4) * PAGE) >= 1


def test_a_page_loaded_twice_into_a_set_takes_one_way(x86_64):
    backend = Interpreted(dataclasses.replace(x86_64.format, tlb_ways=2, tlb_sets_lg2=0))
    mmu = Mmu(backend)
    mmu.map(0x3000, 7, 11)
    mmu.map(0x4000, 8, 11)
    mmu.access([0x3000, 0x4000])
    mmu.access(0x4000, "w")                     # replaces the entry that only loads
    assert misses(mmu, [0x3000, 0x4000]) == 0


def test_caches_are_allocated_by_the_first_access_and_freed_with_the_address_space(backend):
    mmu = Mmu(backend)
    mmu.map(0x3000, 7, 11)
    mmu.flush_mm()
    mmu.flush_page(0x3000)
    assert mmu.host_bytes == 0
    mmu.access(0x3000)
    assert 0 < mmu.host_bytes <= 64 << 10
    mmu.free_range(0, 1 << 40)
    assert mmu.reset_space() == 0
    assert mmu.host_bytes == 0
