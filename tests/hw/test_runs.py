# SPDX-License-Identifier: GPL-2.0-only
"""Loops over the entries of one leaf table: zap, fork, mprotect."""

from rmapemu.hw.bench import Mmu

END = 0xA000


def filled(backend):
    """Pages 3 (frame 103), 5 (swap) and 8 (frame 108, PROT_NONE) of a table; space 1 is empty."""
    mmu = Mmu(backend, spaces=2)
    f = backend.format
    e = [f.mkwrite(f.mk_pte(103, f.prot[11])) | f.dirty | f.young, f.swap_pte(1, 77), f.mk_pte(108, f.prot[0])]
    for va, entry in zip((0x3000, 0x5000, 0x8000), e, strict=True):
        mmu.set(va, entry)
    return mmu, e


def test_a_scan_gives_every_entry_that_is_not_none_with_its_place(backend):
    mmu, e = filled(backend)
    assert mmu.run("scan", 0x3000, END) == [(0, e[0]), (2, e[1]), (5, e[2])]
    assert mmu.run("scan", 0x6000, 0x8000) == []
    assert mmu.run("scan", 1 << 33, (1 << 33) + END) == []
    assert mmu.cost["ptes_examined"] == 7 + 2


def test_clearing_hands_back_the_old_entries_and_flushes_nothing(backend):
    mmu, e = filled(backend)
    mmu.access(0x3000)
    assert mmu.run("clear", 0, END) == [(3, e[0]), (5, e[1]), (8, e[2])]
    assert mmu.run("scan", 0, END) == []
    assert mmu.access(0x3000) == (1, 0)
    assert mmu.cost["tlb_flush_page"] == mmu.cost["tlb_flush_mm"] == 0


def test_fork_write_protects_both_and_makes_the_copy_old(backend):
    mmu, e = filled(backend)
    f = backend.format
    assert mmu.run("copy", 0, END, to=1, cow=True) == [(3, e[0]), (5, e[1]), (8, e[2])]
    assert mmu.get(0x3000) == f.wrprotect(e[0])
    assert mmu.get(0x3000, space=1) == f.wrprotect(e[0]) & ~f.young
    assert mmu.get(0x5000, space=1) == e[1]
    assert mmu.get(0x8000, space=1) == f.wrprotect(e[2]) & ~f.young
    assert mmu.nr_ptes(space=1) == 1


def test_fork_of_a_shared_mapping_keeps_writable_and_cleans_the_copy(backend):
    mmu, e = filled(backend)
    f = backend.format
    mmu.run("copy", 0, END, to=1, shared=True)
    assert mmu.get(0x3000) == e[0]
    assert mmu.get(0x3000, space=1) == e[0] & ~f.young & ~f.dirty


def test_fork_without_memory_for_a_table_says_so_and_changes_nothing(backend):
    mmu, e = filled(backend)
    mmu.limit_tables(0)
    assert mmu.run("copy", 0, END, to=1, cow=True) == -12
    assert mmu.get(0x3000) == e[0]
    assert mmu.run("copy", 1 << 33, (1 << 33) + END, to=1, cow=True) == []


def test_protecting_changes_present_entries_and_keeps_what_pte_modify_keeps(backend):
    mmu, e = filled(backend)
    f = backend.format
    assert mmu.run("protect", 0, END, prot=f.prot[1]) == 2
    assert mmu.get(0x3000) == e[0] & f.chg_mask | f.prot[1] & ~f.chg_mask
    assert mmu.get(0x5000) == e[1]
    assert mmu.get(0x8000) == e[2] & f.chg_mask | f.prot[1] & ~f.chg_mask
    assert f.pfn(mmu.get(0x8000)) == 108


def test_protecting_makes_no_old_entry_young(backend):
    mmu, e = filled(backend)
    f = backend.format
    mmu.set(0x3000, e[0] & ~f.young)
    for prot in f.prot:
        mmu.run("protect", 0, END, prot=prot)
        assert not mmu.get(0x3000) & f.young
