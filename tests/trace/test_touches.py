# SPDX-License-Identifier: GPL-2.0-only
"""Accesses become touches of pages, and touched pages become mappings."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu.trace import infer_mappings, pages
from support.traces import make_batch

PAGE_SHIFTS = [4, 12, 16, 21]


def test_an_access_that_crosses_a_page_touches_both_in_order():
    batch = make_batch([0x1000, 0x1FFF, 0x3000], [8, 2, 4], [0, 1, 2], [7, 8, 9])
    va, kind, pid = pages(batch, 12)
    assert va.tolist() == [0x1000, 0x1FFF, 0x2000, 0x3000]
    assert kind.tolist() == [0, 1, 1, 2] and pid.tolist() == [7, 8, 8, 9]


def test_where_nothing_crosses_nothing_is_copied():
    batch = make_batch([0x1000, 0x1FFF], [8, 1])
    assert pages(batch, 12)[0] is batch.address
    unsized = make_batch([0x1000, 0x1FFF])
    assert pages(unsized, 12) == (unsized.address, unsized.kind, None)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 5000)), max_size=40), st.sampled_from(PAGE_SHIFTS))
def test_touches_are_those_of_a_loop_over_every_page(rows, shift):
    rows = [(a, min(s, 2**64 - a)) for a, s in rows]
    expected = [p for a, s in rows for p in range(a >> shift, ((a + s - 1) >> shift) + 1)]
    va, kind, pid = pages(make_batch([a for a, _ in rows], [s for _, s in rows]), shift)
    assert [v >> shift for v in va.tolist()] == expected
    assert len(kind) == len(expected) and pid is None
    assert set(va.tolist()) >= {a for a, _ in rows}


def test_the_last_byte_of_the_address_space_can_be_touched():
    assert pages(make_batch([2**64 - 8], [8]), 12)[0].tolist() == [2**64 - 8]
    with pytest.raises(ValueError, match="beyond"):
        pages(make_batch([2**64 - 8], [9]), 12)


@pytest.mark.parametrize("shift", [-1, 0, 64, 100])
def test_a_page_shift_out_of_range_is_refused(shift):
    with pytest.raises(ValueError, match="1 to 63"):
        pages(make_batch([1], [1]), shift)


def test_arrays_of_different_lengths_are_refused():
    batch = make_batch([1, 2], [4])
    with pytest.raises(ValueError, match="2 addresses and 1 sizes"):
        pages(batch, 12)


page_sets = st.sets(st.one_of(st.integers(0, 300), st.integers(0, 2**52 - 1)), max_size=60)


@given(page_sets, st.integers(0, 40), st.integers(1, 20))
def test_mappings_cover_the_touched_pages_disjoint_ascending_and_bounded(touched, gap, most):
    touched = sorted(touched)
    found = infer_mappings(np.array(touched, np.uint64), gap_pages=gap, max_mappings=most)
    assert len(found) <= most
    assert all(start < end for start, end in found)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(found))
    assert all(any(start <= page < end for start, end in found) for page in touched)
    assert {start for start, _ in found} | {end - 1 for _, end in found} <= set(touched)


@given(page_sets, st.integers(0, 40))
def test_a_gap_separates_mappings_if_and_only_if_it_is_wider_than_allowed(touched, gap):
    touched = sorted(touched)
    expected = []
    for page in touched:
        if expected and page - expected[-1][1] <= gap:
            expected[-1][1] = page + 1
        else:
            expected.append([page, page + 1])
    assert infer_mappings(np.array(touched, np.uint64), gap_pages=gap) == [tuple(m) for m in expected]


def test_too_many_mappings_are_joined_over_their_narrowest_gaps():
    touched = np.array([0, 100, 1000, 1100, 5000], np.uint64)
    assert infer_mappings(touched, gap_pages=0, max_mappings=3) == [(0, 101), (1000, 1101), (5000, 5001)]
    assert infer_mappings(touched, gap_pages=0, max_mappings=1) == [(0, 5001)]


def test_what_is_no_sorted_array_of_pages_is_refused():
    with pytest.raises(TypeError, match="uint64"):
        infer_mappings([1, 2])
    with pytest.raises(TypeError, match="int64"):
        infer_mappings(np.array([1, 2]))
    for wrong in ([2, 1], [1, 1], [[1, 2]]):
        with pytest.raises(ValueError, match="sorted"):
            infer_mappings(np.array(wrong, np.uint64))
    assert infer_mappings(np.array([], np.uint64)) == []
