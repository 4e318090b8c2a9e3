# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3
# Models: nothing; carries a page-table format between C and Python, member by member under the same names.
# Kernel equivalent: none.
# Differs: a pair or part that is not there is a mask or width of 0 in C, and missing in Python.
from libc.string cimport memset
from rmapemu.hw.format cimport pt_format, pt_level, pt_match, pt_field
from rmapemu.hw.ops cimport Backend
from rmapemu.hw.format import Field, Format, Level, Match


cdef object match_of(const pt_match* m):
    return Match(*[(m.mask[i], m.value[i]) for i in range(2) if m.mask[i]])


cdef object field_of(const pt_field* p):
    return Field(*[(p.shift[i], p.bits[i]) for i in range(2) if p.bits[i]])


cdef object level_of(const pt_level* v):
    return Level(
        shift=v.shift, index_bits=v.index_bits, table_bytes=v.table_bytes, table_order=v.table_order,
        tables_per_frame=v.tables_per_frame, empty=v.empty, table=match_of(&v.table), table_pa_mask=v.table_pa_mask,
        table_bits=v.table_bits, huge=match_of(&v.huge), huge_pa_mask=v.huge_pa_mask, huge_bits=v.huge_bits)


def format_of(Backend backend not None):
    """The `Format` of a backend."""
    cdef const pt_format* f = &backend.format_
    cdef int i
    return Format(
        name=backend.name, page_shift=f.page_shift, levels=f.levels, max_levels=f.max_levels, canonical_bits=f.canonical_bits,
        user_bits=f.user_bits, tlb_sets_lg2=f.tlb_sets_lg2, tlb_ways=f.tlb_ways, has_nx=bool(f.has_nx),
        range_flush_is_mm=bool(f.range_flush_is_mm), level=tuple([level_of(&f.level[i]) for i in range(f.max_levels)]),
        none_mask=f.none_mask, none_value=f.none_value, clear_value=f.clear_value, present=match_of(&f.present),
        valid=match_of(&f.valid), pa_mask=f.pa_mask, user=match_of(&f.user), write=match_of(&f.write), write_set=f.write_set,
        write_clear=f.write_clear, wrprotect_set=f.wrprotect_set, wrprotect_clear=f.wrprotect_clear,
        wrprotect_guard=match_of(&f.wrprotect_guard), noexec=match_of(&f.noexec), young=f.young, dirty=f.dirty,
        special=f.special, table_young=f.table_young, prot=tuple([f.prot[i] for i in range(16)]), chg_mask=f.chg_mask,
        key_referenced=f.key_referenced, key_changed=f.key_changed, key_default=f.key_default, file=match_of(&f.file),
        file_bits=f.file_bits, file_pgoff=field_of(&f.file_pgoff), file_max_bits=f.file_max_bits, swap_bits=f.swap_bits,
        swap_type=field_of(&f.swap_type), swap_offset=field_of(&f.swap_offset))


cdef object fill_match(pt_match* m, source):
    for i, (mask, value) in enumerate(source.pairs):
        m.mask[i] = mask
        m.value[i] = value


cdef object fill_field(pt_field* p, source):
    for i, (shift, bits) in enumerate(source.parts):
        p.shift[i] = shift
        p.bits[i] = bits


cdef object fill_level(pt_level* v, source):
    v.shift = source.shift
    v.index_bits = source.index_bits
    v.table_bytes = source.table_bytes
    v.table_order = source.table_order
    v.tables_per_frame = source.tables_per_frame
    v.empty = source.empty
    fill_match(&v.table, source.table)
    v.table_pa_mask = source.table_pa_mask
    v.table_bits = source.table_bits
    fill_match(&v.huge, source.huge)
    v.huge_pa_mask = source.huge_pa_mask
    v.huge_bits = source.huge_bits


cdef object fill_format(pt_format* f, object source):
    memset(f, 0, sizeof(pt_format))
    fill_shape(f, source)
    fill_leaf(f, source)
    f.key_referenced = source.key_referenced
    f.key_changed = source.key_changed
    f.key_default = source.key_default
    fill_match(&f.file, source.file)
    f.file_bits = source.file_bits
    fill_field(&f.file_pgoff, source.file_pgoff)
    f.file_max_bits = source.file_max_bits
    f.swap_bits = source.swap_bits
    fill_field(&f.swap_type, source.swap_type)
    fill_field(&f.swap_offset, source.swap_offset)


cdef object fill_shape(pt_format* f, object source):
    f.page_shift = source.page_shift
    f.levels = source.levels
    f.max_levels = source.max_levels
    f.canonical_bits = source.canonical_bits
    f.user_bits = source.user_bits
    f.tlb_sets_lg2 = source.tlb_sets_lg2
    f.tlb_ways = source.tlb_ways
    f.has_nx = source.has_nx
    f.range_flush_is_mm = source.range_flush_is_mm
    for i, level in enumerate(source.level):
        fill_level(&f.level[<int>i], level)


cdef object fill_leaf(pt_format* f, object source):
    f.none_mask = source.none_mask
    f.none_value = source.none_value
    f.clear_value = source.clear_value
    fill_match(&f.present, source.present)
    fill_match(&f.valid, source.valid)
    f.pa_mask = source.pa_mask
    fill_match(&f.user, source.user)
    fill_match(&f.write, source.write)
    f.write_set = source.write_set
    f.write_clear = source.write_clear
    f.wrprotect_set = source.wrprotect_set
    f.wrprotect_clear = source.wrprotect_clear
    fill_match(&f.wrprotect_guard, source.wrprotect_guard)
    fill_match(&f.noexec, source.noexec)
    f.young = source.young
    f.dirty = source.dirty
    f.special = source.special
    f.table_young = source.table_young
    for i in range(16):
        f.prot[<int>i] = source.prot[i]
    f.chg_mask = source.chg_mask


cdef object capabilities_of(const pt_format* f):
    return frozenset([name for name, has in (
        ("nx", f.has_nx), ("storage-keys", f.key_referenced), ("huge-pmd", f.level[1].huge.mask[0]),
        ("growing", f.max_levels > f.levels), ("nonlinear", f.file.mask[0])) if has])
