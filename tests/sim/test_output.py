# SPDX-License-Identifier: GPL-2.0-only
"""Outputs: whole or not at all; what a table and a Parquet file say."""

import json
import os
import stat

import numpy as np
import pytest
from pyarrow import parquet as pq

import rmapemu
from rmapemu.sim.output import whole_file
from rmapemu.sim.table import notes


@pytest.fixture
def result(arch):
    va = np.tile(np.arange(100, dtype=np.uint64) * 4096, 3)
    return rmapemu.replay(va, write=True, frames=50, arch=arch, reclaim="lru")


def test_one_of_anything_is_said_as_one(arch):
    one = rmapemu.replay(np.array([4096], np.uint64), arch=arch)
    assert notes([one]) == [
        "1 private anonymous mapping in one process, inferred from the touched pages: the trace has none.",
        "1 touched page is never written: it maps the zero page and takes no memory.",
    ]
    assert "1 frame, exactly" in rmapemu.replay(np.array([4096], np.uint64), frames=1, arch=arch).table()


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "out"
    with whole_file(path) as out:
        out.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert os.listdir(tmp_path) == ["out"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError()])
def test_a_failure_leaves_what_was_there_before(tmp_path, error):
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with pytest.raises(type(error)):
        _fail_while_writing(path, error)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["out"]


def _fail_while_writing(path, error):
    with whole_file(path) as out:
        out.write(b"half")
        raise error


def test_what_a_killed_process_left_is_written_over(tmp_path):
    (tmp_path / f".out.{os.getpid()}.part").write_bytes(b"left")
    with whole_file(tmp_path / "out") as out:
        out.write(b"all")
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with whole_file(tmp_path / "link") as out:
        out.write(b"all")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"all"


def test_a_device_is_written_to_and_not_replaced():
    with pytest.raises(OSError, match="No space left") as caught, whole_file("/dev/full") as out:
        out.write(b"x" * 100_000)
    assert caught.value.filename == "/dev/full"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(("name", "error"), [("missing/out", FileNotFoundError), (".", IsADirectoryError)])
def test_a_place_that_cannot_be_written_to_is_named_at_once(tmp_path, name, error):
    with pytest.raises(error) as caught, whole_file(tmp_path / name):
        pytest.fail("the block was entered")
    assert caught.value.filename == str(tmp_path / name)


def test_parquet_has_the_series_and_everything_else_in_its_metadata(result, tmp_path):
    result.to_parquet(tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    assert table.column("faults").to_pylist() == [300]
    assert table.column("arch").to_pylist() == [result.arch]
    about = json.loads(table.schema.metadata[b"rmapemu"])
    assert about == [json.loads(result.to_json(series=False))]


def test_json_has_all_numbers_and_the_series(result):
    data = json.loads(result.to_json())
    assert data["faults"] == result.faults == 300
    assert data["derived"]["evictions"] == 250
    assert data["setup"]["frames"] == 50
    assert data["series"]["accesses"] == [300]


def test_the_table_shows_what_was_asked_for(result):
    lines = result.table().splitlines()
    assert lines[0].split() == [result.arch]
    shown = {line.split("  ")[0] for line in lines[2:]}
    assert {
        "faults", "miss ratio", "evictions", "pages scanned per page reclaimed", "rmap walks", "VMAs visited per walk",
        "PTEs examined per walk", "TLB flushes", "storage-key operations", "swapped in / out", "peak rss", "reading", "replay",
    } <= shown  # fmt: skip
    assert len({len(line) for line in lines if line.startswith("-")}) == 1


def test_results_that_differ_are_unequal(result, arch):
    va = np.tile(np.arange(100, dtype=np.uint64) * 4096, 3)
    other = rmapemu.replay(va, write=True, frames=60, arch=arch, reclaim="lru")
    assert result != other
    assert len({result, other, rmapemu.replay(va, write=True, frames=60, arch=arch, reclaim="lru")}) == 2
