# SPDX-License-Identifier: GPL-2.0-only
"""An MMU's page-table format as plain data: what `format.pxd` says in C, for archs written in Python.

Every field has the meaning that ``struct pt_format`` gives it; `Format.problems` says what a manual would not.
"""

from __future__ import annotations

import dataclasses

MAX_LEVELS = 5


class FormatError(ValueError):
    """A format that no hardware could have; ``problems`` lists everything that is wrong, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True)
class Match:
    """A predicate over an entry: one or two pairs (mask, value), true when ``e & mask == value`` for any of them.

    ``Match()`` has no pair: "always" or "never", as the field says.

    >>> Match((1, 1)).matches(0x21)
    True
    """

    pairs: tuple[tuple[int, int], ...]

    def __init__(self, *pairs: tuple[int, int]) -> None:
        object.__setattr__(self, "pairs", tuple((int(m), int(v)) for m, v in pairs))

    def matches(self, e: int) -> bool:
        """Is it true of the entry `e`? Never, for ``Match()``."""
        return any(e & mask == value for mask, value in self.pairs)

    def reachable(self, fixed: int, free: int) -> bool:
        """Is it true of `fixed` with any choice of the bits in `free`?"""
        return any(fixed & mask & ~free == value & ~free for mask, value in self.pairs)

    def certain(self, fixed: int, free: int) -> bool:
        """Is it true of `fixed` whatever the bits in `free` are?"""
        return any(free & mask == 0 and fixed & mask == value for mask, value in self.pairs)


@dataclasses.dataclass(frozen=True)
class Field:
    """A number kept in an entry, in one or two parts (shift, bits), the low bits first.

    >>> hex(Field((7, 1), (12, 52)).put(5))
    '0x2080'
    """

    parts: tuple[tuple[int, int], ...]

    def __init__(self, *parts: tuple[int, int]) -> None:
        object.__setattr__(self, "parts", tuple((int(s), int(b)) for s, b in parts))

    @property
    def bits(self) -> int:
        """How many bits the number has."""
        return sum(bits for _, bits in self.parts)

    @property
    def mask(self) -> int:
        """The bits of the entry that it takes."""
        mask = 0
        for shift, bits in self.parts:
            mask |= ((1 << bits) - 1) << shift
        return mask

    def put(self, number: int) -> int:
        """The bits of an entry that hold `number`."""
        e = 0
        for shift, bits in self.parts:
            e |= (number & ((1 << bits) - 1)) << shift
            number >>= bits
        return e

    def get(self, e: int) -> int:
        """The number in the entry `e`."""
        number = at = 0
        for shift, bits in self.parts:
            number |= (e >> shift & ((1 << bits) - 1)) << at
            at += bits
        return number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """One level of tables; level 0 holds the leaf entries. Addresses and masks are in bits, sizes in bytes."""

    shift: int
    index_bits: int
    table_bytes: int
    table_order: int = 0
    tables_per_frame: int = 1
    empty: int = 0
    table: Match = Match()
    table_pa_mask: int = 0
    table_bits: int = 0
    huge: Match = Match()
    huge_pa_mask: int = 0
    huge_bits: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A page-table format; `name` is the arch's, for messages, and no part of what the hardware does."""

    name: str = dataclasses.field(default="interpreted", compare=False)
    page_shift: int
    levels: int
    max_levels: int
    canonical_bits: int = 0
    user_bits: int
    tlb_sets_lg2: int = 10
    tlb_ways: int = 1
    has_nx: bool = False
    range_flush_is_mm: bool = True
    level: tuple[Level, ...]
    none_mask: int
    none_value: int
    clear_value: int
    present: Match
    valid: Match
    pa_mask: int
    user: Match = Match()
    write: Match
    write_set: int = 0
    write_clear: int = 0
    wrprotect_set: int = 0
    wrprotect_clear: int = 0
    wrprotect_guard: Match = Match()
    noexec: Match = Match()
    young: int = 0
    dirty: int = 0
    special: int = 0
    table_young: int = 0
    prot: tuple[int, ...]
    chg_mask: int
    key_referenced: int = 0
    key_changed: int = 0
    key_default: int = 0
    file: Match = Match()
    file_bits: int = 0
    file_pgoff: Field = Field()
    file_max_bits: int = 0
    swap_bits: int = 0
    swap_type: Field
    swap_offset: Field

    def problems(self) -> list[str]:
        """What is wrong with it, a sentence each: arch, level, field, and what was expected."""
        from rmapemu.hw.format_check import problems_of

        return problems_of(self)

    def validate(self) -> None:
        """Raise `FormatError` if there is any problem."""
        found = self.problems()
        if found:
            raise FormatError(found)

    # --- the kernel's primitives over one entry, as in pte.pxd: for tests, dumps and exercises, not for loops
    def mk_pte(self, pfn: int, prot: int) -> int:
        """The leaf entry of frame `pfn` with protection bits `prot`."""
        return pfn << self.page_shift | prot

    def pfn(self, e: int) -> int:
        """The frame that a present entry maps."""
        return (e & self.pa_mask) >> self.page_shift

    def none(self, e: int) -> bool:
        """pte_none"""
        return e & self.none_mask == self.none_value

    def mkwrite(self, e: int) -> int:
        """pte_mkwrite"""
        return e & ~self.write_clear | self.write_set

    def wrprotect(self, e: int) -> int:
        """pte_wrprotect"""
        if self.wrprotect_guard.pairs and not self.wrprotect_guard.matches(e):
            return e
        return e & ~self.wrprotect_clear | self.wrprotect_set

    def swap_pte(self, swap_type: int, offset: int) -> int:
        """The entry of a page in swap."""
        return self.swap_bits | self.swap_type.put(swap_type) | self.swap_offset.put(offset)

    def file_pte(self, pgoff: int) -> int:
        """The entry of a nonlinear mapping's absent page."""
        return self.file_bits | self.file_pgoff.put(pgoff)
