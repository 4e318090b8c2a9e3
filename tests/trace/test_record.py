# SPDX-License-Identifier: GPL-2.0-only
"""A program's accesses are recorded whole or not at all, and the program keeps its own input and output."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rmapemu.errors import ToolMissing
from rmapemu.trace import demo_trace, formats, infer_mappings, open_trace, pages, record
from rmapemu.trace.demo import COMMAND, LEVEL, demo_text
from support.traces import joined

valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")


@valgrind
def test_a_recorded_program_gives_a_trace_and_keeps_its_own_output(tmp_path, capfd):
    seen = []
    path = tmp_path / "t.parquet"
    result = record(path, ["echo", "said"], progress=lambda *numbers: seen.append(numbers))
    trace = open_trace(path)
    batch = joined(trace)
    assert result.status == 0
    assert result.accesses == batch.accesses == seen[-1][0] > 10_000
    assert result.bytes == path.stat().st_size == trace.bytes_total
    assert set(batch.kind.tolist()) == {0, 1, 2}
    assert len(set(batch.pid.tolist())) == 1
    assert capfd.readouterr() == ("said\n", "")
    assert os.listdir(tmp_path) == ["t.parquet"]


@valgrind
def test_a_child_that_was_forked_is_silent_and_the_exit_status_is_the_programs(tmp_path):
    began = time.monotonic()
    result = record(tmp_path / "t.parquet", ["sh", "-c", "sleep 30 >/dev/null 2>&1 & exit 3"], instructions=False)
    assert result.status == 3
    assert time.monotonic() - began < 25
    assert set(joined(open_trace(tmp_path / "t.parquet")).kind.tolist()) == {0, 1}


def test_without_valgrind_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="recording needs valgrind, which is not installed") as error:
        record(tmp_path / "t.parquet", ["true"])
    assert (error.value.errno, error.value.filename) == (errno.ENOENT, "valgrind")
    assert os.listdir(tmp_path) == []


@valgrind
def test_a_program_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such program: 'no-such-program'"):
        record(tmp_path / "t.parquet", ["no-such-program"])
    for wrong in ([], "true"):
        with pytest.raises(ValueError, match="expected a command"):
            record(tmp_path / "t.parquet", wrong)
    assert os.listdir(tmp_path) == []


@valgrind
def test_a_disk_that_takes_no_more_kills_the_program_and_leaves_nothing(tmp_path):
    code = """if True:
        import resource, sys
        from rmapemu.trace import record
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        try:
            record(sys.argv[1], ['sh', '-c', 'while :; do :; done'])
        except OSError as error:
            print(error.errno, error)
    """
    path = str(tmp_path / "t.parquet")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == f"{errno.EFBIG} [Errno {errno.EFBIG}] File too large: {path!r}\n"
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []


@valgrind
def test_ctrl_c_kills_the_program_and_leaves_the_file_that_was_there(tmp_path):
    (tmp_path / "t.parquet").write_text("before")
    code = "import sys; from rmapemu.trace import record; record(sys.argv[1], ['sh', '-c', 'while :; do :; done'])"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "t.parquet")], stderr=subprocess.PIPE, start_new_session=True)
    wait_until(lambda: any(f.stat().st_size > 0 for f in tmp_path.glob(".*.part")) or child.poll() is not None)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert os.listdir(tmp_path) == ["t.parquet"]
    assert (tmp_path / "t.parquet").read_text() == "before"
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


@valgrind
def test_ctrl_c_holds_no_lock_that_the_end_waits_for(tmp_path, monkeypatch):
    def struck(child):
        child._waitpid_lock.acquire()
        raise KeyboardInterrupt

    def ctrl_c(accesses, seconds, size):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "poll", struck)
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "t.parquet", ["sh", "-c", "while :; do :; done"], progress=ctrl_c)
    assert os.listdir(tmp_path) == []


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def test_the_shipped_trace_is_what_its_description_says():
    trace = open_trace("demo")
    touched, count, writes = set(), 0, 0
    for batch in trace:
        va, kind, _ = pages(batch, 12)
        touched.update(np.unique(va >> np.uint64(12)).tolist())
        count += batch.accesses
        writes += int((kind == 1).sum())
    assert trace.path == demo_trace()
    assert trace.bytes_total < 3_000_000
    assert (count, len(touched)) == (4_352_920, 1068)
    assert 0.2 < writes / count < 0.5
    assert len(infer_mappings(np.array(sorted(touched), np.uint64))) == 9


def test_the_text_of_the_shipped_trace_is_the_same_everywhere():
    text = demo_text(100)
    assert text == demo_text()[: len(text)]
    assert text.startswith(FIRST_WORDS)
    assert (COMMAND[0], LEVEL) == ("sort", 19)
    assert "parquet" in formats()


FIRST_WORDS = "dio prihmp tslfkvwnh dxwwntw "
