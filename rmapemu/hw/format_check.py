# SPDX-License-Identifier: GPL-2.0-only
"""What a page-table format must satisfy. Each check names the level and the field, and what a manual would say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rmapemu.hw.format import MAX_LEVELS, Field, Format, Match

ALL = (1 << 64) - 1
VM_READ, VM_WRITE, VM_SHARED = 1, 2, 8
SAMPLE_PFNS = (1, 0xAAAA, 0x5555)


def problems_of(f: Format) -> list[str]:
    """Every problem of `f`, a sentence each. Where the shape is wrong, only that: the rest would be noise."""
    for checks in ((numbers,), (shape,), (upper_levels, leaf, protections, ages, absent)):
        found = [f"{f.name}: {problem}" for check in checks for problem in check(f)]
        if found:
            return found
    return []


def numbers(f: Format) -> Iterator[str]:
    """Every member fits its C type, and every predicate can be true."""
    yield from _numbers_in(f, "")
    for i, level in enumerate(f.level):
        yield from _numbers_in(level, f"level {i}: ")
    if len(f.prot) != 16:
        yield f"prot: {len(f.prot)} entries; expected 16, by VM_READ=1, VM_WRITE=2, VM_EXEC=4, VM_SHARED=8"
    for i, bits in enumerate(f.prot):
        if not 0 <= bits <= ALL:
            yield f"prot[{i}]: {bits:#x} does not fit an entry of 64 bits"


def _numbers_in(item: object, where: str) -> Iterator[str]:
    for member in dataclasses.fields(item):  # type: ignore[arg-type]
        value = getattr(item, member.name)
        if isinstance(value, int) and not 0 <= value <= ALL:
            yield f"{where}{member.name}: {value:#x} does not fit 64 bits"
        elif isinstance(value, Match):
            if len(value.pairs) > 2:
                yield f"{where}{member.name}: {len(value.pairs)} alternatives; expected one or two"
            for mask, want in value.pairs:
                if not 0 < mask <= ALL or want & ~mask:
                    yield (f"{where}{member.name}: can never be true: value {want:#x} has bits outside mask {mask:#x}, "
                           "or the mask is empty or wider than an entry")
        elif isinstance(value, Field):
            yield from _field(where + member.name, value)


def _field(where: str, field: Field) -> Iterator[str]:
    if len(field.parts) > 2:
        yield f"{where}: {len(field.parts)} parts; expected one or two"
    if any(bits < 1 or shift < 0 or shift + bits > 64 for shift, bits in field.parts):
        yield f"{where}: parts {field.parts} reach outside an entry of 64 bits, or are empty"
    elif field.mask.bit_count() != field.bits:
        yield f"{where}: its parts {field.parts} overlap"


def shape(f: Format) -> Iterator[str]:
    """Sizes, counts, and index bits that follow one another without a gap."""
    if not 10 <= f.page_shift <= 20:
        yield f"page_shift: {f.page_shift}; expected lg2 of a page size, 10 to 20"
    if not 2 <= f.levels <= f.max_levels <= MAX_LEVELS or len(f.level) != f.max_levels:
        yield (f"levels: {f.levels} growing to {f.max_levels}, {len(f.level)} described; expected 2 <= levels <= max_levels "
               f"<= {MAX_LEVELS} and max_levels descriptions, the leaf first")
        return
    at = f.page_shift
    for i, level in enumerate(f.level):
        if level.shift != at:
            yield (f"level {i}: shift: {level.shift}; expected {at}: index bits must be contiguous, and start where the "
                   f"{'page offset' if i == 0 else f'index of level {i - 1}'} ends")
        at = level.shift + level.index_bits
        if level.index_bits < 1 or level.table_bytes != 8 << level.index_bits:
            yield (f"level {i}: table_bytes: {level.table_bytes}; expected 8 bytes for each of the 2^{level.index_bits} entries")
        if level.tables_per_frame not in ((1, 2) if i == 0 else (1,)):
            yield f"level {i}: tables_per_frame: {level.tables_per_frame}; expected 1, or 2 at level 0"
        elif level.table_bytes * level.tables_per_frame != 1 << f.page_shift + level.table_order:
            yield (f"level {i}: table_order: {level.tables_per_frame} table(s) of {level.table_bytes} bytes do not fill "
                   f"2^{level.table_order} frames")
    if f.level[0].index_bits > 11:
        yield f"level 0: index_bits: {f.level[0].index_bits}; expected at most 11 (the longest run of entries is 2048)"
    if not f.page_shift < f.user_bits <= min(at, 63):
        yield f"user_bits: {f.user_bits}; expected at most the {at} bits that {f.max_levels} levels translate"
    if f.canonical_bits not in (0, at):
        yield f"canonical_bits: {f.canonical_bits}; expected 0 or the {at} bits that {f.max_levels} levels translate"
    if not (1 <= f.tlb_ways <= 16 and f.tlb_sets_lg2 <= 16):
        yield f"tlb_ways: a TLB of 2^{f.tlb_sets_lg2} sets of {f.tlb_ways} ways; expected up to 2^16 sets of 1 to 16"


def upper_levels(f: Format) -> Iterator[str]:
    """Entries above the leaf: empty, pointing at a table, or huge, and never two of these."""
    for i, level in list(enumerate(f.level))[1:]:
        where = f"level {i}: "
        if not level.table.pairs:
            yield f"{where}table: no predicate; expected the bits by which the hardware knows a pointer to a table"
            continue
        for name in ("table", "huge"):
            if getattr(level, name).matches(level.empty):
                yield f"{where}empty: {level.empty:#x} reads as {name}; an empty entry must be invalid to the hardware"
        if not _contiguous(level.table_pa_mask):
            yield f"{where}table_pa_mask: {level.table_pa_mask:#x} is not one run of bits"
        elif 1 << _lowest(level.table_pa_mask) > f.level[i - 1].table_bytes:
            yield (f"{where}table_pa_mask: {level.table_pa_mask:#x} "
                   f"cannot hold every address of a table of {f.level[i - 1].table_bytes} bytes")
        if level.table_bits & level.table_pa_mask:
            yield f"{where}table_bits: {level.table_bits:#x} overlaps the address in {level.table_pa_mask:#x}"
        if not level.table.certain(level.table_bits, level.table_pa_mask):
            yield f"{where}table_bits: an entry made with {level.table_bits:#x} does not read as table; expected the hardware to follow it"
        if level.huge.reachable(level.table_bits, level.table_pa_mask):
            yield f"{where}huge: an entry that points at a table may read as a huge leaf"
        if f.table_young & (level.table_pa_mask | level.empty):
            yield f"{where}table_young: {f.table_young:#x} overlaps the address or is set in an empty entry"
        if level.huge.pairs:
            yield from _huge(f, i)


def _huge(f: Format, i: int) -> Iterator[str]:
    level = f.level[i]
    where = f"level {i}: "
    if not _contiguous(level.huge_pa_mask) or _lowest(level.huge_pa_mask) != level.shift:
        yield (f"{where}huge_pa_mask: {level.huge_pa_mask:#x}; "
                   f"expected one run of bits from {level.shift}: a huge page is aligned to its size")
    for prot in f.prot:
        e = prot | level.huge_bits
        if f.valid.matches(prot) and (not level.huge.matches(e) or level.table.matches(e)):
            yield f"{where}huge_bits: protection {prot:#x} with {level.huge_bits:#x} does not read as a huge leaf only"
            return


def leaf(f: Format) -> Iterator[str]:
    """Leaf entries that map nothing read as none, and as nothing else."""
    if not _contiguous(f.pa_mask) or _lowest(f.pa_mask) != f.page_shift:
        yield f"pa_mask: {f.pa_mask:#x}; expected one run of bits from page_shift {f.page_shift}"
    if f.none_value & ~f.none_mask:
        yield f"none_value: {f.none_value:#x} has bits outside none_mask {f.none_mask:#x}: no entry is none"
    for where, e in (("level 0: empty", f.level[0].empty), ("clear_value", f.clear_value)):
        if not f.none(e):
            yield f"{where}: {e:#x} does not read as none"
        for name in ("valid", "present", "file"):
            if getattr(f, name).matches(e):
                yield f"{where}: {e:#x} reads as {name}; an empty entry must be invalid to the hardware and to the kernel"


def protections(f: Format) -> Iterator[str]:
    """The 16 protections make present entries; private writable ones are write-protected, so that a store copies."""
    for i, prot in enumerate(f.prot):
        where = f"prot[{i}]: {prot:#x} "
        if prot & f.pa_mask:
            yield where + f"overlaps the frame's address in pa_mask {f.pa_mask:#x}"
            continue
        for pfn in SAMPLE_PFNS:
            yield from (where + what for what in _protected(f, i, f.mk_pte(pfn, prot)))
    for name in ("write_set", "write_clear", "wrprotect_set", "wrprotect_clear"):
        if getattr(f, name) & f.pa_mask:
            yield f"{name}: {getattr(f, name):#x} overlaps the frame's address"


def _protected(f: Format, i: int, e: int) -> Iterator[str]:
    if not f.present.matches(e) or f.none(e) or (f.file.matches(e) and not f.present.matches(e)):
        yield f"with a frame ({e:#x}) does not read as present"
    usable = f.valid.matches(e) and (not f.user.pairs or f.user.matches(e))
    if i & ~VM_SHARED == 0 and usable:
        yield "may be used; expected PROT_NONE, which the hardware must refuse"
    if i & VM_READ and not usable:
        yield "is not valid for user mode; expected VM_READ to allow loads"
    if usable:
        if f.write.matches(e) != (i & VM_SHARED != 0 and i & VM_WRITE != 0):
            yield "is writable only where VM_WRITE and VM_SHARED both are: a private page is copied at the first store"
        writable = f.mkwrite(e)
        if not f.write.matches(writable):
            yield "does not become writable by write_set and write_clear"
        if f.write.matches(f.wrprotect(writable)):
            yield "stays writable after wrprotect_set and wrprotect_clear"
        if not f.valid.matches(f.wrprotect(writable)):
            yield "is invalid once it is write-protected"


def ages(f: Format) -> Iterator[str]:
    """Where young and dirty live, and that mprotect keeps what it must."""
    for name in ("young", "dirty", "special", "table_young"):
        if getattr(f, name) & f.pa_mask:
            yield f"{name}: {getattr(f, name):#x} overlaps the frame's address in pa_mask {f.pa_mask:#x}"
    if f.young & f.dirty or f.special & (f.young | f.dirty):
        yield f"young: {f.young:#x}, dirty {f.dirty:#x} and special {f.special:#x} share bits"
    for name in ("pa_mask", "young", "dirty", "special"):
        if getattr(f, name) & ~f.chg_mask:
            yield f"chg_mask: {f.chg_mask:#x} loses bits of {name} {getattr(f, name):#x}; expected pte_modify to keep them"
    if bool(f.key_referenced) != bool(f.key_changed) or f.key_referenced & f.key_changed:
        yield f"key_changed: {f.key_changed:#x} with key_referenced {f.key_referenced:#x}; expected two different bits, or no keys at all"
    if f.key_referenced and (f.young or f.dirty):
        yield "key_referenced: young and dirty are in the entry as well; expected one place"
    if max(f.key_referenced, f.key_changed, f.key_default) > 0xFF:
        yield "key_referenced: a storage key is one byte"
    if f.has_nx != bool(f.noexec.pairs):
        yield f"has_nx: {f.has_nx}, but noexec is {'given' if f.noexec.pairs else 'missing'}"


def absent(f: Format) -> Iterator[str]:
    """Swap and file entries keep their numbers and read as nothing else."""
    parts = {"swap_bits": f.swap_bits, "swap_type": f.swap_type.mask, "swap_offset": f.swap_offset.mask}
    yield from _overlaps(parts)
    if f.swap_type.bits < 5:
        yield f"swap_type: {f.swap_type.bits} bits; expected 5 (MAX_SWAPFILES_SHIFT)"
    # offset 0 is the swap area's header, never a page: one bit of the offset is always set
    for bit in (1 << i for i in range(64) if f.swap_offset.mask >> i & 1):
        free = (f.swap_type.mask | f.swap_offset.mask) & ~bit
        wrong = _reads_as(f, f.swap_bits | bit, free, ("present", "valid", "file"))
        if wrong:
            yield f"swap_bits: a swap entry can read as {wrong} ({f.swap_bits | bit:#x}, free bits {free:#x})"
            break
    if not f.file.pairs:
        return
    yield from _overlaps({"file_bits": f.file_bits, "file_pgoff": f.file_pgoff.mask})
    wrong = _reads_as(f, f.file_bits, f.file_pgoff.mask, ("present", "valid"))
    if wrong:
        yield f"file_bits: a file entry can read as {wrong} ({f.file_bits:#x}, free bits {f.file_pgoff.mask:#x})"
    if not f.file.certain(f.file_bits, f.file_pgoff.mask):
        yield f"file_bits: a file entry {f.file_bits:#x} does not always read as file"
    if f.file_max_bits > f.file_pgoff.bits:
        yield f"file_max_bits: {f.file_max_bits}; expected at most the {f.file_pgoff.bits} bits of file_pgoff"


def _overlaps(parts: dict[str, int]) -> Iterator[str]:
    names = list(parts)
    for i, a in enumerate(names):
        for b in names[i + 1:]:
            if parts[a] & parts[b]:
                yield f"{b}: {parts[b]:#x} overlaps {a} {parts[a]:#x}"


def _reads_as(f: Format, fixed: int, free: int, names: tuple[str, ...]) -> str:
    wrong = [name for name in names if getattr(f, name).reachable(fixed, free)]
    if Match((f.none_mask, f.none_value)).reachable(fixed, free):
        wrong.append("none")
    return " and ".join(wrong)


def _contiguous(mask: int) -> bool:
    return mask != 0 and (mask >> _lowest(mask)) & ((mask >> _lowest(mask)) + 1) == 0


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
