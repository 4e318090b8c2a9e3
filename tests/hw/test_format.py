# SPDX-License-Identifier: GPL-2.0-only
"""Formats: what is wrong with one is said with its arch, level and field."""

import dataclasses

import pytest

from rmapemu.hw import registry
from rmapemu.hw.format import Field, FormatError, Match
from rmapemu.hw.interpreted import Interpreted


def changed(f, **fields):
    """The format with members replaced; ``level1`` and so on take a dict for that level."""
    for name in [n for n in fields if n.startswith("level") and n[5:].isdigit()]:
        i = int(name[5:])
        level = dataclasses.replace(f.level[i], **fields.pop(name))
        fields["level"] = (*f.level[:i], level, *f.level[i + 1:])
    return dataclasses.replace(f, **fields)


WRONG = {
    "x86_64": [
        (dict(page_shift=21), "page_shift"),
        (dict(levels=5), "levels"),
        (dict(level2=dict(shift=31)), "level 2: shift: 31; expected 30"),
        (dict(level1=dict(table_bytes=2048)), "level 1: table_bytes"),
        (dict(level1=dict(tables_per_frame=2)), "level 1: tables_per_frame"),
        (dict(level0=dict(tables_per_frame=2)), "level 0: table_order"),
        (dict(user_bits=49), "user_bits"),
        (dict(canonical_bits=40), "canonical_bits"),
        (dict(tlb_ways=0), "tlb_ways"),
        (dict(prot=(1, 2)), "prot: 2 entries"),
        (dict(level1=dict(empty=1)), "level 1: empty: 0x1 reads as table"),
        (dict(level1=dict(empty=0x81)), "level 1: empty: 0x81 reads as huge"),
        (dict(level1=dict(table_bits=0x1063)), "level 1: table_bits: 0x1063 overlaps"),
        (dict(level2=dict(table_bits=0x66)), "level 2: table_bits: an entry made"),
        (dict(level3=dict(table=Match())), "level 3: table: no predicate"),
        (dict(level3=dict(table_pa_mask=0xFF0F000)), "level 3: table_pa_mask"),
        (dict(level3=dict(table_pa_mask=0xFFFFE000)), "cannot hold every address"),
        (dict(level1=dict(huge_pa_mask=0xFFFFFFFFFF000)), "level 1: huge_pa_mask"),
        (dict(level1=dict(huge_bits=0)), "level 1: huge_bits"),
        (dict(level1=dict(huge=Match((2, 2)))), "level 1: huge: an entry that points"),
        (dict(pa_mask=0xFFFFFFFFFE000), "pa_mask"),
        (dict(clear_value=2), "clear_value: 0x2 does not read as none"),
        (dict(level0=dict(empty=0x40)), "level 0: empty"),
        (dict(valid=Match((1, 0))), "reads as valid"),
        (dict(valid=Match((1, 3))), "valid: can never be true"),
        (dict(present=Match((1, 1), (2, 2), (4, 4))), "present: 3 alternatives"),
        (dict(present=Match((1, 1))), "does not read as present"),
        (dict(prot=(0x25,) * 16), "expected PROT_NONE"),
        (dict(prot=(0x120,) + (0x27,) * 15), "is writable only where"),
        (dict(prot=(0x120,) * 16), "expected VM_READ to allow loads"),
        (dict(prot=(0x1120,) * 16), "overlaps the frame's address"),
        (dict(prot=(1 << 70,) * 16), "prot[0]"),
        (dict(write_set=0), "does not become writable"),
        (dict(wrprotect_clear=0), "stays writable"),
        (dict(wrprotect_clear=3), "is invalid once"),
        (dict(write_set=0x1002), "write_set: 0x1002 overlaps"),
        (dict(young=0x1000), "young: 0x1000 overlaps the frame"),
        (dict(dirty=0x20), "share bits"),
        (dict(chg_mask=0xFFFFFFFFFF000), "chg_mask"),
        (dict(key_referenced=4), "key_changed"),
        (dict(key_referenced=4, key_changed=2), "expected one place"),
        (dict(has_nx=False), "has_nx"),
        (dict(table_young=0x1000), "table_young"),
        (dict(swap_type=Field((1, 4))), "swap_type: 4 bits"),
        (dict(swap_type=Field((5, 5))), "swap_offset: 0xfffffffffffffe00 overlaps swap_type"),
        (dict(swap_type=Field((0, 5))), "can read as present and valid"),
        (dict(swap_offset=Field((60, 10))), "swap_offset: parts"),
        (dict(swap_offset=Field((9, 5), (10, 5))), "swap_offset: its parts"),
        (dict(swap_type=Field((1, 2), (10, 2), (20, 1))), "swap_type: 3 parts"),
        (dict(swap_bits=0x100), "can read as present"),
        (dict(file_bits=0x41), "a file entry can read as present"),
        (dict(file_bits=0x0), "does not always read as file"),
        (dict(file_pgoff=Field((6, 40))), "file_pgoff: 0x3fffffffffc0 overlaps file_bits"),
        (dict(file_max_bits=53), "file_max_bits"),
        (dict(dirty=-1), "dirty: -0x1 does not fit"),
        (dict(level1=dict(huge_bits=1 << 64)), "level 1: huge_bits"),
    ],
    "s390": [
        (dict(level2=dict(empty=0x04)), "level 2: empty: 0x4 reads as table"),
        (dict(level1=dict(table_pa_mask=(1 << 64) - 0x1000)), "level 1: table_pa_mask"),
        (dict(level1=dict(table_order=1)), "level 1: table_order"),
        (dict(swap_bits=0x401), "can read as present"),
        (dict(swap_bits=0x400), "can read as none"),
        (dict(file_bits=0x403, file=Match((0x603, 0x403))), "can read as"),
        (dict(key_changed=4), "key_changed"),
        (dict(key_default=0x1FF), "a storage key is one byte"),
        (dict(none_value=0x401, none_mask=0x400), "none_value"),
        (dict(wrprotect_guard=Match((0x400, 0x400))), "stays writable"),
    ],
}


@pytest.mark.parametrize(("arch", "fields", "said"), [(a, f, s) for a, cases in WRONG.items() for f, s in cases])
def test_a_wrong_format_is_refused_with_arch_and_field(arch, fields, said):
    wrong = changed(registry.get(arch).format, **fields)
    with pytest.raises(FormatError) as error:
        Interpreted(wrong)
    assert said in str(error.value)
    assert all(problem.startswith(f"{arch}: ") for problem in error.value.problems)
    assert error.value.problems == wrong.problems()


def test_a_format_survives_the_way_through_c(arch):
    f = registry.get(arch).format
    assert f.problems() == []
    twin = Interpreted(f)
    assert twin.format == f
    assert twin.name == arch
    assert twin.capabilities == registry.get(arch).capabilities
    assert (twin.page_shift, twin.levels) == (f.page_shift, f.levels)


def test_split_fields_keep_the_low_bits_in_the_first_part():
    field = Field((7, 1), (12, 52))
    assert field.put(5) == 1 << 7 | 2 << 12
    assert field.get(field.put(0x1234567)) == 0x1234567
    assert field.mask == 0xFFFFFFFFFFFFF080


def test_capabilities_follow_from_the_bits(x86_64, s390):
    assert x86_64.capabilities == {"nx", "huge-pmd", "nonlinear"}
    assert s390.capabilities == {"storage-keys", "huge-pmd", "growing", "nonlinear"}
    assert "tagged" in Interpreted(s390.format, name="other", capabilities=["tagged"]).capabilities
