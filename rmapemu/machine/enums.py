# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's flags and return values that a caller hands in or gets back."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

__all__ = ["TTU", "MapFlag", "PageFlag", "Prot", "Swap", "VmFlag", "map_flags", "page_flag_names", "prot_bits", "vm_flag_names"]


class TTU(IntFlag):
    """What try_to_unmap is asked to do: an action, and flags."""

    UNMAP = 0
    MIGRATION = 1
    MUNLOCK = 2
    IGNORE_MLOCK = 1 << 8
    IGNORE_ACCESS = 1 << 9
    IGNORE_HWPOISON = 1 << 10


class Swap(IntEnum):
    """What try_to_unmap and its parts return."""

    SUCCESS = 0
    AGAIN = 1
    FAIL = 2
    MLOCK = 3


class Prot(IntFlag):
    """PROT_* of mmap(2) and mprotect(2)."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXEC = 4


class MapFlag(IntFlag):
    """MAP_* of mmap(2)."""

    SHARED = 0x1
    PRIVATE = 0x2
    FIXED = 0x10
    ANONYMOUS = 0x20
    GROWSDOWN = 0x100
    LOCKED = 0x2000
    NORESERVE = 0x4000
    POPULATE = 0x8000
    STACK = 0x20000


class PageFlag(IntFlag):
    """page.flags. Bits as in v3.2's enum pageflags (64-bit); from bit 25 on our own (what the kernel keeps in other ways)."""

    locked = 1 << 0
    error = 1 << 1
    referenced = 1 << 2
    uptodate = 1 << 3
    dirty = 1 << 4
    lru = 1 << 5
    active = 1 << 6
    slab = 1 << 7
    reserved = 1 << 10
    private = 1 << 11
    writeback = 1 << 13
    head = 1 << 14
    tail = 1 << 15
    swapcache = 1 << 16
    mappedtodisk = 1 << 17
    reclaim = 1 << 18
    swapbacked = 1 << 19
    unevictable = 1 << 20
    mlocked = 1 << 21
    hwpoison = 1 << 23
    compound_lock = 1 << 24
    buddy = 1 << 25
    table = 1 << 26
    huge = 1 << 27
    locked_other = 1 << 28


class VmFlag(IntFlag):
    """vma.vm_flags."""

    READ = 0x1
    WRITE = 0x2
    EXEC = 0x4
    SHARED = 0x8
    MAYREAD = 0x10
    MAYWRITE = 0x20
    MAYEXEC = 0x40
    MAYSHARE = 0x80
    GROWSDOWN = 0x100
    NOHUGEPAGE = 0x200
    PFNMAP = 0x400
    DENYWRITE = 0x800
    EXECUTABLE = 0x1000
    LOCKED = 0x2000
    IO = 0x4000
    SEQ_READ = 0x8000
    RAND_READ = 0x10000
    DONTCOPY = 0x20000
    DONTEXPAND = 0x40000
    RESERVED = 0x80000
    ACCOUNT = 0x100000
    NORESERVE = 0x200000
    HUGETLB = 0x400000
    NONLINEAR = 0x800000
    HUGEPAGE = 0x1000000
    INSERTPAGE = 0x2000000
    ALWAYSDUMP = 0x4000000
    CAN_NONLINEAR = 0x8000000
    MIXEDMAP = 0x10000000
    SAO = 0x20000000
    PFN_AT_MMAP = 0x40000000
    MERGEABLE = 0x80000000


_PAGE_FLAGS = [(flag.value, str(flag.name)) for flag in PageFlag]
_VM_FLAGS = [(flag.value, str(flag.name)) for flag in VmFlag]
_PROT = {"r": Prot.READ, "w": Prot.WRITE, "x": Prot.EXEC, "-": Prot.NONE}


def page_flag_names(flags: int) -> tuple[str, ...]:
    """Names of the bits of page.flags, lowest first.

    >>> page_flag_names(0x2c)
    ('referenced', 'uptodate', 'lru')
    """
    return tuple(name for bit, name in _PAGE_FLAGS if flags & bit)


def vm_flag_names(flags: int) -> tuple[str, ...]:
    """Names of the bits of vma.vm_flags, lowest first."""
    return tuple(name for bit, name in _VM_FLAGS if flags & bit)


def prot_bits(prot: Any) -> int:
    """PROT_* bits from ``"rw"``-like text (or ``"none"``) or an int.

    >>> prot_bits("rw"), prot_bits("none"), prot_bits(Prot.READ | Prot.EXEC)
    (3, 0, 5)
    """
    if isinstance(prot, str):
        if prot in ("none", ""):
            return 0
        bits = 0
        for letter in prot:
            if letter not in _PROT:
                raise ValueError(f"prot={prot!r}: expected letters of 'rwx', or 'none'")
            bits |= int(_PROT[letter])
        return bits
    return _bits(prot, 7, "prot")


def map_flags(flags: Any) -> int:
    """MAP_* bits from text like ``"private|anonymous"`` or an int.

    >>> hex(map_flags("private|anonymous"))
    '0x22'
    """
    if isinstance(flags, str):
        bits = 0
        for word in flags.split("|"):
            try:
                bits |= int(MapFlag[word.strip().upper()])
            except KeyError:
                known = ", ".join(str(f.name).lower() for f in MapFlag)
                raise ValueError(f"flags={flags!r}: unknown flag {word.strip()!r} (known: {known})") from None
        return bits
    return _bits(flags, sum(MapFlag), "flags")


def _bits(value: Any, allowed: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: expected text or an int of flag bits")
    if value & ~allowed:
        raise ValueError(f"{name}={value!r}: unknown bits {value & ~allowed:#x}")
    return int(value)
