# SPDX-License-Identifier: GPL-2.0-only
"""What valgrind's lackey prints, and `hexaddr R|W`, come out as the accesses that they say."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu.errors import TraceError
from rmapemu.trace import open_trace
from support.traces import compress, joined, lackey_text, make_batch, rw_text, same

LOG = b"""==42== Lackey, an example Valgrind tool
==42== Command: true
==42==
I  0401ab70,3
 L 1fff000768,8
hello from the program
 S 04033ad0,16
 M 04033e06,1
==42== Exit code: 0
"""

addresses = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**28))


@st.composite
def accesses(draw, kinds=(0, 1, 2)):
    rows = draw(st.lists(st.tuples(addresses, st.integers(1, 4000), st.sampled_from(kinds)), min_size=1, max_size=60))
    address, size, kind = zip(*rows, strict=True)
    size = [min(s, 2**64 - a) for a, s in zip(address, size, strict=True)]
    return make_batch(address, size, kind)


class Dribble(io.RawIOBase):
    """A file that gives its bytes in pieces of the given sizes, over and over, as a pipe may."""

    def __init__(self, data, pieces):
        self.data, self.pieces, self.turn = data, pieces, 0

    def readable(self):
        return True

    def read(self, count=-1):
        want = min(self.pieces[self.turn % len(self.pieces)], count)
        self.turn += 1
        part, self.data = self.data[:want], self.data[want:]
        return part


def test_loads_stores_modifies_and_fetches_have_their_kinds(put):
    trace = open_trace(put("log", LOG))
    got = joined(trace)
    assert trace.format == "lackey"
    assert got.address.tolist() == [0x401AB70, 0x1FFF000768, 0x4033AD0, 0x4033E06]
    assert got.size.tolist() == [3, 8, 16, 1]
    assert got.kind.tolist() == [2, 0, 1, 1]


def test_other_lines_are_skipped_and_counted_and_modifies_too(put):
    trace = open_trace(put("log", LOG))
    list(trace)
    assert (trace.stats.accesses, trace.stats.skipped_lines, trace.stats.modifies) == (4, 5, 1)
    assert trace.bytes_read == trace.bytes_total == len(LOG)


def test_instruction_fetches_can_be_left_out(put):
    assert joined(open_trace(put("log", LOG), instructions=False)).kind.tolist() == [0, 1, 1]


def test_a_last_line_without_newline_counts(put):
    assert joined(open_trace(put("log", LOG + b" L 04033e06,1"))).accesses == 5


def test_lines_may_end_as_on_windows(put):
    assert same(joined(open_trace(put("log", LOG.replace(b"\n", b"\r\n")))), joined(open_trace(put("lf", LOG))))


@pytest.mark.parametrize("how", ["plain", "gz", "zst"])
def test_compressed_text_is_recognised_by_its_content(put, how):
    assert joined(open_trace(put("log.txt", compress(LOG, how)))).accesses == 4


@given(accesses(), st.integers(1, 70), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_lackey_lines_round_trip_in_any_batches_and_from_any_pieces(batch, most, pieces):
    text = lackey_text(batch)
    assert same(joined(open_trace(io.BytesIO(text), batch=most)), batch)
    assert same(joined(open_trace(("lackey", Dribble(text, pieces)), batch=most)), batch)


@given(accesses(kinds=(0, 1)), st.integers(1, 70), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_rw_lines_round_trip_in_any_batches_and_from_any_pieces(batch, most, pieces):
    got = joined(open_trace(("rw", Dribble(rw_text(batch), pieces)), batch=most))
    assert same(got, batch._replace(size=None))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b" L 10000000000000000,8", "at most 64 bits"),
        (b" L -1000,8", "an access like"),
        (b" L 00001000,0", "a size from 1"),
        (b" L 00001000,99999999", "a size from 1"),
        (b" L 00001000,99999999999999999999999", "a size from 1"),
        (b" L ffffffffffffffff,2", "below 2**64"),
        (b" S 000010", "an access like"),
        (b" S 00001000,", "an access like"),
        (b" S 00001000\0,4", "zero bytes"),
        (b"x" * 70000, "at most 65536 bytes"),
    ],
)
@pytest.mark.parametrize("after", [b"\n", b"\n" + LOG, b""])
def test_a_wrong_line_is_named_by_its_number_in_one_line(put, line, expected, after):
    with pytest.raises(TraceError, match=rf"log: line 10\b.*{expected.replace('*', '[*]')}.*found '") as error:
        list(open_trace("lackey:" + put("log", LOG + line + after)))
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_line_of_rw_may_have_0x_blanks_and_comments(put):
    trace = open_trace("rw:" + put("t", b"# page trace\n\n0x1000 R\n 2000\tw \nFFFF r\r\n"))
    got = joined(trace)
    assert got.address.tolist() == [0x1000, 0x2000, 0xFFFF] and got.kind.tolist() == [0, 1, 0]
    assert got.size is None and trace.stats.skipped_lines == 2


@pytest.mark.parametrize("line", [b"1000", b"1000 Q", b"1000R", b"zz R", b"-1 R", b"1000 R W", b"10000000000000000 R"])
def test_rw_refuses_every_other_line(put, line):
    with pytest.raises(TraceError, match="t: line 2"):
        list(open_trace("rw:" + put("t", b"1000 R\n" + line + b"\n2000 W\n")))


def test_a_trace_much_larger_than_its_blocks_comes_out_whole(put):
    rng = np.random.default_rng(1)
    batch = make_batch(rng.integers(0, 2**38, 100_000), rng.integers(1, 65, 100_000), rng.integers(0, 3, 100_000))
    assert same(joined(open_trace(put("big", lackey_text(batch)))), batch)
