# SPDX-License-Identifier: GPL-2.0-only
"""A slow MMU, written from the manuals' words: walks table bytes, and knows nothing of our formats, caches or TLB."""

import struct

X86, S390 = "x86_64", "s390"
PAGE = 4096


class Fault(Exception):
    """The hardware refuses."""


class NaiveMmu:
    """Translates through a copy of physical memory (a bytearray), without any TLB; s390 keeps keys in `key`."""

    def __init__(self, arch: str, memory: bytearray, root: int, levels: int) -> None:
        self.arch, self.memory, self.root, self.levels = arch, memory, root, levels
        self.key: dict[int, int] = {}

    def load(self, pa: int) -> int:
        return struct.unpack_from("<Q", self.memory, pa)[0]

    def store(self, pa: int, e: int) -> None:
        struct.pack_into("<Q", self.memory, pa, e)

    def access(self, va: int, kind: str) -> int:
        """The frame that is accessed; sets accessed, dirty, R and C."""
        pfn = self.x86(va, kind) if self.arch == X86 else self.s390(va, kind)
        return pfn

    def x86(self, va: int, kind: str) -> int:
        if va >> 47:                                    # kernel half, or not canonical
            raise Fault
        table, passed = self.root, []
        for shift in (39, 30, 21, 12):
            pa = table + (va >> shift & 511) * 8
            e = self.load(pa)
            if not e & 1:                               # P
                raise Fault
            passed.append((pa, e))
            leaf = shift == 12 or (shift == 21 and e >> 7 & 1)
            if leaf:
                break
            table = e & 0xFFFFFFFFFF000
        if not e & 4 or (kind == "w" and not e & 2) or (kind == "x" and e >> 63):
            raise Fault
        for pa, upper in passed[:-1]:
            self.store(pa, upper | 0x20)                # A
        self.store(passed[-1][0], e | 0x20 | (0x40 if kind == "w" else 0))
        base = e & 0xFFFFFFFFFF000 & ~((1 << shift) - 1)
        return (base | va & ((1 << shift) - 1)) // PAGE

    def s390(self, va: int, kind: str) -> int:
        shifts = (42, 31, 20)[3 - self.levels + 1:]
        if va >> (shifts[0] + 11):
            raise Fault
        table = self.root
        for shift in shifts:
            e = self.load(table + (va >> shift & 2047) * 8)
            if e & 0x20:                                # I
                raise Fault
            if shift == 20 and e & 0x400:               # FC
                break
            table = e & (~0x7FF if shift == 20 else ~0xFFF) & (1 << 64) - 1
        else:
            shift = 12
            e = self.load(table + (va >> 12 & 255) * 8)
            if e & 0x400:                               # I
                raise Fault
        if kind == "w" and e & 0x200:                   # P
            raise Fault
        base = e & ~((1 << shift) - 1)
        pfn = (base | va & ((1 << shift) - 1)) // PAGE
        self.key[pfn] = self.key.get(pfn, 0) | (6 if kind == "w" else 4)
        return pfn
