# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# A leaf entry as data: what the kernel would call it, and its bits.
# Kernel: arch/*/include/asm/pgtable.h, include/linux/swapops.h. Differs: user, exec and protnone are the hardware's view.
from typing import NamedTuple

from libc.stdint cimport uint64_t
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.pte cimport *
from rmapemu.mm.types cimport SWP_HWPOISON, SWP_MIGRATION_READ, SWP_MIGRATION_WRITE


class Pte(NamedTuple):
    """``kind`` is none, present, swap, file, migration or hwpoison; the other fields belong to their kinds and are else 0 or False."""

    kind: str
    raw: int
    pfn: int = 0
    write: bool = False
    young: bool = False
    dirty: bool = False
    special: bool = False
    exec: bool = False
    protnone: bool = False
    swap_type: int = 0
    offset: int = 0
    pgoff: int = 0


cdef object decode_pte(const pt_format* f, uint64_t e):
    if pte_none(f, e):
        return Pte("none", e)
    if pte_present(f, e):
        return Pte(
            "present", e, pte_pfn(f, e), bool(pte_write(f, e)), bool(pte_young(f, e)), bool(pte_dirty(f, e)), bool(pte_special(f, e)),
            not (f.has_nx and f.noexec.mask[0] != 0 and pt_matches(&f.noexec, e)),
            not pt_matches(&f.valid, e) or not (f.user.mask[0] == 0 or pt_matches(&f.user, e)),
        )
    if pte_file(f, e):
        return Pte("file", e, pgoff=pte_to_pgoff(f, e))
    entry = pte_to_swp_entry(f, e)
    kind, number = swp_type(entry), swp_offset(entry)
    if kind == SWP_HWPOISON:
        return Pte("hwpoison", e, number, swap_type=kind, offset=number)
    if kind == SWP_MIGRATION_READ or kind == SWP_MIGRATION_WRITE:
        return Pte("migration", e, number, kind == SWP_MIGRATION_WRITE, swap_type=kind, offset=number)
    return Pte("swap", e, swap_type=kind, offset=number)
