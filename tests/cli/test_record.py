# SPDX-License-Identifier: GPL-2.0-only
"""`rmapemu record`: what it says and what it leaves."""

import os
import shutil

import pytest
from click.testing import CliRunner

from rmapemu.cli import main
from rmapemu.trace import open_trace

needs_valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="rmapemu")


@needs_valgrind
def test_it_says_how_much_it_recorded_and_the_file_can_be_read(tmp_path):
    path = tmp_path / "t.parquet"
    result = run("record", "-o", path, "--no-instructions", "--", "true")
    assert result.exit_code == 0, result.output
    accesses = sum(len(batch.address) for batch in open_trace(path))
    assert f"{accesses:,} accesses" in result.stderr
    assert os.listdir(tmp_path) == ["t.parquet"]


@needs_valgrind
def test_a_program_that_fails_leaves_its_trace_and_is_named(tmp_path):
    result = run("record", "-o", tmp_path / "t.parquet", "--", "false")
    assert result.exit_code == 0
    assert "false ended with status 1" in result.stderr
    assert os.listdir(tmp_path) == ["t.parquet"]


@needs_valgrind
def test_a_program_that_is_killed_is_named_with_its_signal(tmp_path):
    result = run("record", "-o", tmp_path / "t.parquet", "--", "sh", "-c", "kill -9 $$")
    assert result.exit_code == 0
    assert "sh was killed by signal 9 (Killed); its trace was kept" in result.stderr


@needs_valgrind
@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("no-such-program", "no such program"),
        ("/no/such/program", "no such program"),
        ("/etc/passwd", "not an executable file"),
        ("/etc", "not an executable file"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_status_2(tmp_path, program, why):
    result = run("record", "-o", tmp_path / "t.parquet", "--", program)
    assert result.exit_code == 2
    assert result.stderr == f"rmapemu: {program}: {why}\n"
    assert os.listdir(tmp_path) == []


def test_a_missing_valgrind_is_one_line_and_status_2(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("record", "-o", tmp_path / "t.parquet", "--", "/bin/true")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "valgrind" in result.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("{tmp}/no/such", "{tmp}/no/such: No such file or directory"),
        ("{tmp}", "{tmp}: Is a directory"),
        ("/dev/full", "/dev/full: expected a regular file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_program_runs(tmp_path, output, said):
    result = run("record", "-o", output.format(tmp=tmp_path), "--", "touch", tmp_path / "ran")
    assert result.exit_code == 2
    assert result.stderr.startswith("rmapemu: " + said.format(tmp=tmp_path))
    assert result.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []
