# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel does to one entry."""

import pytest

from rmapemu.hw.bench import Mmu

SEEN_NO_TABLE, SEEN_NOT_PRESENT, SEEN_OTHER, SEEN_MATCH = range(4)


def one_page(backend):
    """An MMU with frame 7 at 0x3000, mapped for stores."""
    mmu = Mmu(backend)
    mmu.map(0x3000, 7, 11)
    return mmu


@pytest.mark.parametrize("cached", [False, True])
def test_check_address_finds_the_entry_that_maps_the_frame_and_says_how_far_it_came(backend, cached):
    mmu = one_page(backend)
    f = backend.format
    mmu.set(0x4000, f.swap_pte(1, 9))
    for _ in range(2):
        assert mmu.check_address(0x3000, 7, cached) == (mmu.get(0x3000), SEEN_MATCH)
        assert mmu.check_address(0x3000, 8, cached) == (None, SEEN_OTHER)
        assert mmu.check_address(0x4000, 7, cached) == (None, SEEN_NOT_PRESENT)
        assert mmu.check_address(0x5000, 7, cached) == (None, SEEN_NOT_PRESENT)
        assert mmu.check_address(1 << 33, 7, cached) == (None, SEEN_NO_TABLE)
    cost = mmu.cost
    assert (cost["ptes_examined"], cost["ptes_matched"]) == (8, 2)


def test_referenced_clears_young_and_flushes_only_if_it_was_set(x86_64):
    mmu = one_page(x86_64)
    mmu.access(0x3000)
    assert mmu.referenced(0x3000, 7) == 1
    assert mmu.referenced(0x3000, 7) == 0
    cost = mmu.cost
    assert (cost["young_cleared"], cost["tlb_flush_page"]) == (1, 1)
    mmu.access(0x3000)                              # the flush made the CPU walk again
    assert mmu.referenced(0x3000, 7) == 1


def test_referenced_tells_an_absent_page_from_another_one(backend):
    mmu = one_page(backend)
    assert mmu.referenced(0x3000, 8) == -2
    assert mmu.referenced(0x4000, 7) == -1
    assert mmu.referenced(1 << 33, 7) == -1


def test_entries_are_born_young_on_x86(x86_64):
    assert all(prot & 0x20 for prot in x86_64.format.prot)
    assert one_page(x86_64).referenced(0x3000, 7) == 1


def test_clear_flush_gives_the_old_entry_and_leaves_none(backend):
    mmu = one_page(backend)
    mmu.access(0x3000)
    old = mmu.get(0x3000)
    assert mmu.clear_flush(0x3000) == old
    assert backend.format.none(mmu.get(0x3000))
    assert mmu.access(0x3000) == (0, 14)
    assert mmu.cost["tlb_flush_page"] == 1


@pytest.mark.parametrize(("swap_type", "offset"), [(0, 1), (31, 1), (5, 0x12345), (1, (1 << 50) - 1)])
def test_swap_and_file_entries_fault_with_the_entry_in_hand(backend, swap_type, offset):
    mmu = one_page(backend)
    for e in (backend.format.swap_pte(swap_type, offset), backend.format.file_pte(offset)):
        mmu.set(0x3000, e)
        assert mmu.access(0x3000, "w") == (0, 14)
        assert mmu.check_address(0x3000, 7) == (None, SEEN_NOT_PRESENT)
        assert mmu.get(0x3000) == e
    assert backend.format.swap_type.get(backend.format.swap_pte(swap_type, offset)) == swap_type
    assert backend.format.swap_offset.get(backend.format.swap_pte(swap_type, offset)) == offset
    assert backend.format.file_pgoff.get(backend.format.file_pte(offset)) == offset


def test_entries_of_x86_are_as_the_manual_and_the_kernel_write_them(x86_64):
    f = x86_64.format
    assert f.mk_pte(7, f.prot[1]) == 0x8000_0000_0000_7025
    assert f.mk_pte(7, f.prot[15]) == 0x7027
    assert f.mk_pte(7, f.prot[0]) == 0x7120
    assert f.swap_pte(3, 5) == 5 << 9 | 3 << 1
    assert f.file_pte(5) == 5 << 12 | 0x40


def test_entries_of_s390_are_as_the_manual_and_the_kernel_write_them(s390):
    f = s390.format
    assert f.mk_pte(7, f.prot[1]) == 0x7200
    assert f.mk_pte(7, f.prot[15]) == 0x7000
    assert f.mk_pte(7, f.prot[0]) == 0x7401
    assert f.swap_pte(3, 5) == 0x403 | 3 << 2 | 1 << 7 | 2 << 12
    assert f.file_pte(0x85) == 0x601 | 5 << 1 | 1 << 12
    assert f.wrprotect(0x7401) == 0x7401
    assert [level.empty for level in f.level] == [0x400, 0x20, 0x24, 0x28]
    assert [level.table_bits for level in f.level[1:]] == [0, 7, 0xB]
