# SPDX-License-Identifier: GPL-2.0-only
"""Storage keys: every access in exact mode, every loaded translation in the latched one."""

import pytest

from rmapemu.hw.bench import Mmu

R, C = 4, 2


def one_page(backend, exact=True):
    """An MMU with frame 7 mapped at 0x3000, writable."""
    mmu = Mmu(backend, exact=exact)
    mmu.map(0x3000, 7, 11)
    return mmu


def test_a_load_sets_r_and_a_store_sets_c_as_well(s390):
    mmu = one_page(s390)
    mmu.access(0x3000, "r")
    assert mmu.keys[7] == R
    mmu.access(0x3000, "w")
    assert mmu.keys[7] == R | C
    assert mmu.get(0x3000) == 7 << 12


def test_exact_keys_record_what_the_tlb_serves(s390):
    mmu = one_page(s390)
    mmu.access(0x3000, "w")
    mmu.keys[7] = 0
    mmu.access(0x3000, "w")
    assert mmu.keys[7] == R | C
    assert mmu.cost["tlb_misses"] == 1


def test_latched_keys_record_a_translation_when_it_is_loaded(s390):
    mmu = one_page(s390, exact=False)
    mmu.access(0x3000, "w")
    assert mmu.keys[7] == R | C
    mmu.keys[7] = 0
    mmu.access(0x3000, "w")
    assert mmu.keys[7] == 0
    mmu.flush_page(0x3000)
    mmu.access(0x3000, "r")
    assert mmu.keys[7] == R


def test_latched_keys_do_not_lose_the_first_store_after_a_load(s390):
    mmu = one_page(s390, exact=False)
    mmu.access(0x3000, "r")
    mmu.access(0x3000, "w")
    assert mmu.keys[7] == R | C


def test_rrbe_gives_r_and_resets_it_alone(s390):
    mmu = one_page(s390)
    mmu.keys[7] = R | C | 0x30
    assert mmu.test_and_clear_young(7) == 1
    assert mmu.keys[7] == C | 0x30
    assert mmu.test_and_clear_young(7) == 0
    assert mmu.cost["rrbe"] == 2


def test_dirty_is_iske_and_only_where_changed_sske(s390):
    mmu = one_page(s390)
    mmu.keys[7] = R | C
    assert mmu.test_and_clear_dirty(7) == 1
    assert mmu.keys[7] == R
    assert mmu.test_and_clear_dirty(7) == 0
    assert (mmu.cost["iske"], mmu.cost["sske"]) == (2, 1)


def test_uptodate_resets_the_key_and_the_kernel_sets_it_like_anybody(s390):
    mmu = one_page(s390)
    mmu.kernel_access(7, "r")
    assert mmu.keys[7] == R
    mmu.kernel_access(7, "w")
    assert mmu.keys[7] == R | C
    mmu.set_uptodate(7)
    assert mmu.keys[7] == 0
    assert mmu.cost["sske"] == 1


def test_young_is_never_in_an_s390_entry(s390):
    mmu = one_page(s390)
    mmu.access(0x3000, "w")
    assert mmu.referenced(0x3000, 7) == 0
    assert mmu.clear_flush_young(0x3000) == 0
    assert mmu.cost["tlb_flush_page"] == 0


@pytest.mark.parametrize("call", ["test_and_clear_young", "test_and_clear_dirty", "set_uptodate", "kernel_access"])
def test_key_operations_do_and_count_nothing_without_keys(x86_64, call):
    mmu = one_page(x86_64)
    before = mmu.cost
    assert not getattr(mmu, call)(7)
    assert mmu.cost == before
    assert not mmu.keys.any()
