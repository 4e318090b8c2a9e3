# SPDX-License-Identifier: GPL-2.0-only
"""The set of touched pages, and next uses, against Python's own sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu.sim.pageset import PageSet, next_use_of

LIMIT = 1 << 47
ACCESSES = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 9000), st.integers(0, 2)), min_size=1, max_size=200)


@given(ACCESSES, st.sampled_from([12, 16]))
def test_it_holds_each_page_that_was_touched_and_how(accesses, page_shift):
    pages = PageSet(page_shift, LIMIT)
    columns = zip(*accesses, strict=True)
    address, size, kind = (np.array(c, t) for c, t in zip(columns, (np.uint64, np.uint32, np.uint8), strict=True))
    assert pages.add(address, size, kind) is None
    expected = {}
    for first, length, how in accesses:
        for page in range(first >> page_shift, ((first + length - 1) >> page_shift) + 1):
            expected[page] = expected.get(page, 0) | 1 << how
    got, kinds = pages.pages()
    assert dict(zip(got.tolist(), kinds.tolist(), strict=True)) == expected
    assert got.tolist() == sorted(expected)
    assert len(pages) == len(expected)


def test_it_grows_to_any_number_of_pages():
    pages = PageSet(12, LIMIT)
    address = np.random.default_rng(0).permutation(100_000).astype(np.uint64) << np.uint64(13)
    for part in np.array_split(address, 7):
        assert pages.add(part, None, None, 1) is None
    got, kinds = pages.pages()
    assert (got == np.arange(0, 200_000, 2)).all()
    assert (kinds == 2).all()


@pytest.mark.parametrize(("address", "size"), [(LIMIT, 1), (LIMIT - 4, 5), ((1 << 64) - 1, 2), ((1 << 64) - 4, 100)])
def test_the_first_access_beyond_the_limit_is_told(address, size):
    addresses = np.array([0, LIMIT - 1, address, LIMIT], np.uint64)
    sizes = np.array([1, 1, size, 1], np.uint32)
    assert PageSet(12, LIMIT).add(addresses, sizes, None) == 2


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="length"):
        PageSet(12, LIMIT).add(np.zeros(3, np.uint64), np.ones(2, np.uint32), None)
    assert PageSet(12, LIMIT).add(np.zeros(0, np.uint64), None, None) is None


@given(st.lists(st.integers(0, 9), max_size=100))
def test_a_next_use_is_the_next_position_of_the_same_page(pages):
    got = next_use_of(np.array(pages, np.uint32), 10).tolist()
    n = len(pages)
    assert got == [next((j for j in range(i + 1, n) if pages[j] == pages[i]), n) for i in range(n)]


def test_a_page_number_out_of_range_is_refused():
    with pytest.raises(ValueError, match="beyond"):
        next_use_of(np.array([0, 5], np.uint32), 5)
