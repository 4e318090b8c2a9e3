# SPDX-License-Identifier: GPL-2.0-only
"""The page cache's tree, through files. Kernel: lib/radix-tree.c."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu import Machine

PAGE = 4096
OFFSETS = st.one_of(st.integers(0, 200), st.integers(0, 1 << 13), st.integers(0, (1 << 50) - 1))


@given(st.lists(OFFSETS, max_size=40), OFFSETS)
def test_a_file_has_exactly_the_pages_that_were_written_and_not_cut_off(offsets, end):
    with Machine(memory="8M") as m:
        file = m.file(0)
        for offset in offsets:
            file.write(offset * PAGE, PAGE, offset + 1)
        assert file.nrpages == len(set(offsets))
        assert all(file.page(offset).index == offset for offset in offsets)
        file.truncate(end * PAGE)
        left = {offset for offset in offsets if offset < end}
        assert file.nrpages == len(left)
        assert all((file.page(offset) is not None) == (offset in left) for offset in offsets)
        m.check()
        file.truncate(0)
        assert file.nrpages == 0
        m.check()


@pytest.mark.parametrize("offset", [0, 1, 63, 64, 4095, 4096, (1 << 51) - 1])
def test_nodes_come_and_go_with_the_only_page(offset):
    with Machine(memory="8M") as m:
        file = m.file(0)
        with m.measure() as cost:
            for _ in range(3):
                file.write(offset * PAGE, PAGE)
                assert file.page(offset).index == offset
                file.truncate(0)
        assert cost.objects_allocated == cost.objects_freed


def test_writing_back_meets_every_dirty_page_once():
    with Machine(memory="8M") as m:
        file = m.file(0)
        for offset in (0, 5, 64, 70, 4096, 1 << 40):
            file.write(offset * PAGE, PAGE)
        assert file.msync() == 6
        assert file.msync() == 0
