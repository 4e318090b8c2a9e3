# SPDX-License-Identifier: GPL-2.0-only
"""Amounts of memory, and the machine that they make."""

from fractions import Fraction

import pytest

from rmapemu import Machine
from rmapemu.sim.layout import ALLOC_SLACK, low_watermark, total_frames
from rmapemu.sim.sizes import Memory, parse_memory


@pytest.mark.parametrize(
    ("value", "memory"),
    [
        ("10%", Memory(share=Fraction(1, 10))),
        (" 12.5 % ", Memory(share=Fraction(1, 8))),
        (0.1, Memory(share=Fraction(1, 10))),
        (1.5, Memory(share=Fraction(3, 2))),
        (65536, Memory(size_bytes=65536)),
        ("64M", Memory(size_bytes=64 << 20)),
        ("1.5GiB", Memory(size_bytes=3 << 29)),
    ],
)
def test_floats_and_percents_are_shares_and_the_rest_is_bytes(value, memory):
    assert parse_memory(value) == memory


@pytest.mark.parametrize("value", ["", "%", "-5%", "64Q", "ten", 0.0, -0.5, float("inf"), 0, -4096, "0"])
def test_what_is_no_amount_is_named_in_the_error(value):
    with pytest.raises(ValueError, match="memory="):
        parse_memory(value)


@pytest.mark.parametrize("value", [True, None, b"64M", [1]])
def test_what_is_not_even_a_number_is_a_type_error(value):
    with pytest.raises(TypeError, match="memory="):
        parse_memory(value)


@pytest.mark.parametrize("frames", [64, 100, 1000, 4096, 65537, 1 << 20])
def test_the_low_watermark_is_the_one_that_the_machine_sets(arch, frames):
    with Machine(arch, memory=frames * 4096, swap="1M") as machine:
        assert machine.dump()["machine"]["watermarks"][0][1] == low_watermark(frames, 12)


@pytest.mark.parametrize("own", [32, 100, 1000, 26214, 1 << 20])
def test_a_machine_has_the_fewest_frames_that_leave_enough_above_the_low_watermark(own):
    def left(total):
        return total - 10 - low_watermark(total, 12) - ALLOC_SLACK

    total = total_frames(own, 10, 12)
    assert left(total) >= own > left(total - 1)
