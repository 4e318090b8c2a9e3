# SPDX-License-Identifier: GPL-2.0-only
"""Any source opens under one name; whatever the bytes, a reader gives a trace or says in one line what is wrong."""

import io
import os
import subprocess
import sys
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rmapemu.errors import TraceError
from rmapemu.trace import TraceWriter, formats, open_trace, registry, write_parquet
from support.traces import compress, joined, lackey_text, make_batch, rw_text, same

BATCH = make_batch(range(4096, 4096 * 41, 4096), [4] * 40, [0, 1] * 20, [1] * 40)
FORMATS = ["lackey", "rw", "csv", "npy", "parquet"]


def sample(name, how="plain") -> bytes:
    """A whole, valid trace of a format."""
    out = io.BytesIO()
    if name == "npy":
        np.save(out, BATCH.address)
    elif name == "parquet":
        with tempfile.TemporaryDirectory() as folder:
            write_parquet(f"{folder}/t", [BATCH])
            out.write(Path(folder, "t").read_bytes())
    elif name == "csv":
        rows = zip(BATCH.address.tolist(), BATCH.kind.tolist(), strict=True)
        out.write(b"address,kind\n" + "".join(f"{a:#x},{k}\n" for a, k in rows).encode())
    else:
        out.write(lackey_text(BATCH) if name == "lackey" else rw_text(BATCH))
    return compress(out.getvalue(), how)


SAMPLES = {(name, how): sample(name, how) for name in FORMATS[:-1] for how in ("plain", "gz", "zst")}
SAMPLES["parquet", "plain"] = sample("parquet")  # it is compressed within


@pytest.mark.parametrize(("name", "how"), SAMPLES)
def test_a_format_is_recognised_by_content_and_can_be_named(put, name, how):
    path = put("trace", SAMPLES[name, how])
    guessed, named = open_trace(path), open_trace(f"{name}:{path}")
    assert guessed.format == named.format == name
    assert same(joined(guessed), joined(named))
    assert joined(guessed).address.tolist() == BATCH.address.tolist()
    assert guessed.stats.accesses == 40
    assert guessed.bytes_read == guessed.bytes_total == os.path.getsize(path)


@pytest.mark.parametrize(("name", "how"), SAMPLES)
def test_half_a_file_gives_no_more_than_half_a_trace(put, name, how):
    data = SAMPLES[name, how]
    path = put("half", data[: len(data) // 2])
    try:
        assert 0 < joined(open_trace(f"{name}:{path}")).accesses <= 21
        assert how == "plain"
    except TraceError as error:
        assert_one_line(error)


@pytest.mark.parametrize("name", ["lackey", "npy", "parquet"])
def test_a_file_cut_within_an_access_is_refused(put, name):
    data = SAMPLES[name, "plain"][:-4] if name != "lackey" else SAMPLES[name, "plain"][:-3]
    with pytest.raises(TraceError, match="cut: "):
        list(open_trace(put("cut", data)))


@pytest.mark.parametrize("how", ["gz", "zst"])
def test_a_truncated_compressed_file_says_at_which_byte(put, how):
    with pytest.raises(TraceError, match=r"cut: byte \d+: expected (gzip|zstd) data up to its end"):
        list(open_trace("lackey:" + put("cut", SAMPLES["lackey", how][:-9])))


def assert_one_line(error):
    assert "\n" not in str(error)
    assert 10 < len(str(error)) < 500


def try_to_read(source):
    """Reads all of it, or fails as promised."""
    try:
        for batch in open_trace(source, batch=16):
            assert batch.accesses <= 16
    except TraceError as error:
        assert_one_line(error)


@given(st.binary(max_size=300), st.sampled_from([None, *FORMATS]))
@example(b"", None)
@example(b"\x1f\x8b", None)
@example(b"\x28\xb5\x2f\xfd", None)
@example(b"PAR1PAR1", None)
@example(b"\x93NUMPY\x01\x00\x10\x00{'descr':'<u8'}", None)
@example(b"\x93NUMPY\x01\x00" + b"F\x00" + b"{'descr': '<u8', 'fortran_order': False, 'shape': (99999999999999,), }\n", None)
def test_random_bytes_never_do_worse_than_a_trace_error(data, name):
    try_to_read(io.BytesIO(data) if name is None else (name, io.BytesIO(data)))


@given(st.data(), st.sampled_from(sorted(SAMPLES)))
def test_mutated_files_never_do_worse_than_a_trace_error(data, key):
    text = bytearray(SAMPLES[key])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        what = data.draw(st.sampled_from(["flip", "drop", "double", "cut"]))
        if what == "flip" and text:
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "drop":
            del text[at : at + data.draw(st.integers(1, 40))]
        elif what == "double":
            text[at:at] = text[at : at + data.draw(st.integers(1, 40))]
        else:
            del text[at:]
    try_to_read(io.BytesIO(bytes(text)))
    try_to_read((key[0], io.BytesIO(bytes(text))))


def test_an_empty_file_and_one_without_accesses_say_so(put):
    with pytest.raises(TraceError, match=r"empty: expected accesses, found an empty file: no accesses"):
        open_trace(put("empty", b""))
    with pytest.raises(TraceError, match=r"talk: .*found none in 2 lines: no accesses"):
        list(open_trace("lackey:" + put("talk", b"one\ntwo\n")))
    with pytest.raises(TraceError, match="no accesses"):
        list(open_trace(np.array([], np.uint64)))


def test_a_file_of_no_known_format_is_shown_by_its_first_bytes(put):
    with pytest.raises(TraceError, match=r"formats parquet, npy, lackey, rw, csv.*found a file that begins"):
        open_trace(put("what", b"\x00\x01\x02 nothing"))


def test_an_unknown_format_is_named_with_the_near_ones():
    with pytest.raises(TraceError, match=r"unknown trace format 'lacky' \(near: lackey\)"):
        open_trace("lacky:file")


def test_files_that_cannot_be_opened_are_os_errors_with_their_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        open_trace(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        open_trace(str(tmp_path))


@pytest.mark.parametrize("source", [None, 3, [1, 2], b"path", io.StringIO("text")])
def test_what_is_no_source_is_a_type_error(source):
    with pytest.raises(TypeError):
        open_trace(source)


def test_arguments_that_do_not_fit_are_refused(put):
    path = put("t", SAMPLES["lackey", "plain"])
    with pytest.raises(TypeError, match="write=: for array and npy, not for a trace in format 'lackey'"):
        open_trace(path, write=True)
    with pytest.raises(TypeError, match="columns="):
        open_trace(path, columns={"address": "a"})
    with pytest.raises(TypeError, match="batch"):
        open_trace(path, batch=1.5)
    with pytest.raises(ValueError, match="batch"):
        open_trace(path, batch=0)


def test_a_file_can_be_read_again_and_a_pipe_cannot(put):
    trace = open_trace(put("t", SAMPLES["rw", "plain"]), batch=7)
    assert len(list(trace)) == len(list(trace)) == 6
    assert trace.stats.accesses == 40
    assert next(open_trace("rw:" + trace.path)).accesses == 40
    once = open_trace(io.BytesIO(SAMPLES["rw", "plain"]))
    list(once)
    with pytest.raises(TraceError, match="only once"):
        list(once)


def test_a_named_pipe_is_read_once_and_its_length_is_not_known(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    data = lackey_text(make_batch(range(50_000), [8] * 50_000))
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(Path(path).write_bytes, data)
        with open_trace(path, batch=1000) as trace:
            assert (trace.format, trace.bytes_total, trace.rewindable) == ("lackey", None, False)
            assert joined(trace).address.tolist() == list(range(50_000))
            assert trace.bytes_read == writing.result() == len(data)


@pytest.mark.parametrize("how", ["plain", "gz", "zst"])
def test_reading_takes_no_more_memory_for_a_longer_trace(put, how):
    text = b" L 04025310,8\n S 1fff000768,16\n" * 200_000
    peaks = []
    for times in (1, 8):
        path = put("long", compress(text * times, how))
        tracemalloc.start()
        with open_trace(path, batch=1 << 14) as trace:
            assert sum(batch.accesses for batch in trace) == 400_000 * times
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + (1 << 19) < 1 << 23


@pytest.mark.parametrize("name", ["-", "lackey:-"])
def test_standard_input_is_a_source(name):
    code = f"from rmapemu.trace import open_trace; t = open_trace({name!r}); print(sum(b.accesses for b in t), t.bytes_total)"
    data = SAMPLES["lackey", "gz"]
    done = subprocess.run([sys.executable, "-c", code], input=data, stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout == b"40 None\n"


class Doubling:
    """A reader out of tree: a byte is a page."""

    @staticmethod
    def sniff(head):
        return head.startswith(b"PAGES")

    @staticmethod
    def read(source, options, stats):
        data = source.stream.read(5) and source.stream.read(100)
        yield make_batch([byte << 12 for byte in data])


def test_a_third_party_reader_is_found_and_a_broken_one_harms_nothing(put, monkeypatch):
    points = {
        "bytes": EntryPoint("bytes", f"{__name__}:Doubling", registry.GROUP),
        "broken": EntryPoint("broken", "no_such_module:READER", registry.GROUP),
        "wrong": EntryPoint("wrong", "math:pi", registry.GROUP),
    }
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules[Doubling.__module__])
    monkeypatch.setattr(registry, "_others", lambda: points)
    path = put("t", b"PAGES\x01\x02")
    assert joined(open_trace(path)).address.tolist() == [0x1000, 0x2000]
    assert joined(open_trace("bytes:" + path)).kind.tolist() == [0, 0]
    assert {"bytes", "broken", "lackey"} <= set(formats())
    with pytest.raises(TraceError, match=r"'broken' \(no_such_module:READER\) does not load: ModuleNotFoundError"):
        open_trace("broken:" + path)
    with pytest.raises(TraceError, match="expected functions sniff and read"):
        open_trace("wrong:" + path)


def test_a_reader_that_gives_other_arrays_than_promised_is_named(put):
    def read(source, options, stats):
        yield make_batch([1])._replace(address=np.array([1, 2]))

    reader = type("R", (), {"sniff": staticmethod(lambda head: False), "read": staticmethod(read)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find", lambda name: reader)
        with pytest.raises(TraceError, match=r"the reader's address should be uint64\[2\], found int64\[2\]"):
            list(open_trace(("rw", io.BytesIO(b"x"))))


def test_our_formats_are_registered_as_entry_points(pyproject):
    points = pyproject["project"]["entry-points"]["rmapemu.trace"]
    assert points == registry.BUILT_IN


def interrupted(path):
    with TraceWriter(path) as out:
        out.write(BATCH)
        raise KeyboardInterrupt


def test_a_trace_replaces_no_device_and_no_link(tmp_path):
    pipe, link, path = tmp_path / "pipe", tmp_path / "link", tmp_path / "t.parquet"
    os.mkfifo(pipe)
    link.symlink_to(path)
    for place in ("/dev/full", pipe):
        with pytest.raises(ValueError, match=f"{place}: expected a regular file"):
            write_parquet(place, [BATCH])
    with pytest.raises(IsADirectoryError):
        write_parquet(tmp_path, [BATCH])
    with pytest.raises(FileNotFoundError) as caught:
        write_parquet(tmp_path / "no" / "such", [BATCH])
    assert caught.value.filename == str(tmp_path / "no" / "such")
    write_parquet(link, [BATCH])
    assert link.is_symlink() and path.is_file() and pipe.is_fifo()


def test_a_writer_that_fails_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    with pytest.raises(TraceError, match="no accesses"):
        write_parquet(path, [])
    with pytest.raises(TraceError, match="expected columns"):
        write_parquet(path, [BATCH, BATCH._replace(pid=None)])
    assert os.listdir(tmp_path) == ["t.parquet"]
    assert path.read_text() == "before"
