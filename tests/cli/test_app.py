# SPDX-License-Identifier: GPL-2.0-only
"""The command line: what it prints, how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

import rmapemu
from rmapemu.cli import main

COMMAND = [sys.executable, "-m", "rmapemu"]

LOADING = """
import sys, types
class Loading(types.ModuleType):
    def __getattr__(self, name):
        raise KeyboardInterrupt
sys.modules["rmapemu.cli"] = Loading("rmapemu.cli")
from rmapemu.__main__ import main
main()
"""
"""The command, interrupted while it loads."""


@pytest.fixture
def rw(tmp_path):
    """A small trace in a file of its own format."""
    path = tmp_path / "t.rw"
    path.write_text("".join(f"{0x400000 + 4096 * (i * 7 % 60):x} {'RW'[i % 2]}\n" for i in range(600)))
    return str(path)


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="rmapemu")


def refused(*args, status=2):
    """The one line that a command which fails prints on standard error, and nothing else."""
    result = run(*args)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("rmapemu: ")
    return result.stderr


def table(text):
    """{row: cells} of a plain-text table."""
    lines = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 1}


def test_its_version_is_the_distributions():
    assert run("--version").stdout == f"rmapemu {version('rmapemu')}\n"


@pytest.mark.parametrize("command", [[], ["replay"], ["record"], ["arch"], ["arch", "list"]])
def test_every_help_has_an_example(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"    rmapemu {' '.join(command)}".rstrip() in result.stdout.replace("\n  rmapemu", "\n    rmapemu")


@pytest.mark.parametrize("command", [[], ["arch"]])
def test_a_command_that_lacks_its_command_is_answered_with_the_help(command):
    child = subprocess.run([*COMMAND, *command], capture_output=True, text=True)
    assert (child.returncode, child.stdout + child.stderr) == (2, run(*command, "--help").stdout)


def test_archs_and_policies_stand_side_by_side(rw):
    result = run("replay", rw, "--frames", 20, "--arch", "x86_64", "--arch", "s390", "--reclaim", "lru", "--reclaim", "fifo")
    assert result.exit_code == 0, result.output
    rows = table(result.stdout)
    assert rows["accesses"] == ["600"] * 4
    assert rows["faults"][0] == rows["faults"][2]
    assert result.stdout.splitlines()[0].split("  ")[-1].strip() == "s390 fifo"
    assert "inferred" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_a_share_of_memory_and_a_size_of_swap_are_taken(rw):
    result = run("replay", rw, "-m", "80%", "--swap", "1M", "--sysctl", "page-cluster=0")
    assert result.exit_code == 0, result.output
    assert table(result.stdout)["memory for them"] == ["48 frames"]


def test_json_to_a_file_is_the_same_each_time(rw, tmp_path):
    for name in ("a", "b"):
        assert run("replay", rw, "-m", "80%", "--json", tmp_path / name, "--seed", 3).exit_code == 0
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert json.loads(text)[0]["accesses"] == 600


def test_json_to_standard_output_stands_alone(rw):
    data = json.loads(run("replay", rw, "--arch", "s390", "--json", "-").stdout)
    assert [one["setup"]["arch"] for one in data] == ["s390"]


def test_parquet_has_a_row_for_each_column_of_the_table(rw, tmp_path):
    path = tmp_path / "r.parquet"
    assert run("replay", rw, "--arch", "x86_64", "--arch", "s390", "--parquet", path).exit_code == 0
    assert pq.read_table(path).column("arch").to_pylist() == ["x86_64", "s390"]


def test_a_trace_may_come_through_a_pipe(rw):
    with open(rw, "rb") as trace:
        child = subprocess.run([*COMMAND, "replay", "rw:-", "-m", "80%"], stdin=trace, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    piped = subprocess.run([*COMMAND, "replay", "-"], input=Path(rw).read_text(), capture_output=True, text=True)
    assert table(piped.stdout)["accesses"] == ["600"]


def test_what_a_pipe_brings_gives_the_same_numbers_as_the_file(tmp_path):
    path = tmp_path / "t.lackey"
    path.write_text("==1== Lackey\n" + "".join(f" {'LS'[i % 2]} {0x04000000 + 4096 * (i % 50):08x},8\n" for i in range(200)))
    with path.open("rb") as trace:
        piped = subprocess.run([*COMMAND, "replay", "-", "-m", "80%", "--json", "-"], stdin=trace, capture_output=True, check=True)
    file, pipe = json.loads(run("replay", path, "-m", "80%", "--json", "-").stdout), json.loads(piped.stdout)
    assert pipe[0]["setup"].pop("trace") == "-" and file[0]["setup"].pop("trace") == str(path)
    assert pipe == file and pipe[0]["setup"]["skipped_lines"] == 1


def test_columns_of_a_csv_may_have_other_names(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,va,rw\n" + "".join(f"{i},{4096 * (i % 40 + 256):x},{'rw'[i % 2]}\n" for i in range(80)))
    result = run("replay", f"csv:{path}", "--column", "address=va:hex", "--column", "kind=rw")
    assert result.exit_code == 0, result.output
    assert table(result.stdout)["touched pages"] == ["40"]


def test_what_is_only_read_takes_no_memory_and_the_output_says_so(tmp_path):
    path = tmp_path / "t.npy"
    np.save(path, np.arange(1, 101, dtype=np.uint64) * 4096)
    assert "100 touched pages are never written: they map the zero page" in run("replay", path, "-m", "40%").stdout
    for options in (["-m", "40%", "--write"], ["--frames", "40"]):
        result = run("replay", path, *options)
        assert result.exit_code == 0 and "never written" not in result.stdout
        assert int(table(result.stdout)["evictions"][0]) >= 60


def test_the_shipped_trace_is_called_demo():
    result = run("replay", "demo", "-m", "10%", "--json", "-")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["setup"]["trace"] == "demo"


def test_arch_list_names_the_archs():
    rows = table(run("arch", "list").stdout)
    assert {"x86_64", "s390"} <= set(rows)
    assert rows["x86_64"][:2] == ["4096 B", "4"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["reply"], "did you mean 'replay'"),
        (["replay"], "Missing argument"),
        (["replay", "{rw}", "--bogus"], "No such option"),
        (["replay", "{rw}", "--frames", "many"], "not a valid integer"),
        (["replay", "{rw}", "--arch", "x86-64"], "x86_64"),
        (["replay", "{rw}", "--arch", "s309"], "s390"),
        (["replay", "{rw}", "--reclaim", "lruu"], "lru"),
        (["replay", "{rw}", "-m", "lots"], "'64M' or a share like '10%'"),
        (["replay", "{rw}", "-m", "4K"], "the least that runs is 131072 bytes (32 pages, 54% of the 60 that are touched)"),
        (["replay", "{rw}", "-m", "1M", "--frames", "3"], "give one of them"),
        (["replay", "{rw}", "--frames", "0"], "the least that runs is 1"),
        (["replay", "{rw}", "--frames", "20", "--swap", "0"], "out of memory"),
        (["replay", "{rw}", "--swap", "x"], "swap='x'"),
        (["replay", "{rw}", "--sysctl", "page-cluster"], "NAME=VALUE"),
        (["replay", "{rw}", "--sysctl", "swapiness=3"], "swappiness"),
        (["replay", "{rw}", "--sysctl", "page-clutser=3"], "did you mean 'page-cluster'? (known: swappiness"),
        (["replay", "{rw}", "--sysctl", "page-cluster=99"], "page-cluster=99: expected 0 to 31"),
        (["replay", "{rw}", "--sysctl", "swappiness=-1"], "swappiness=-1: expected 0 to 100"),
        (["replay", "{rw}", "--sysctl", "=1"], "no sysctl '' (known: swappiness"),
        (["replay", "{rw}", "--column", "address"], "OURS=THEIRS"),
        (["replay", "{rw}", "--column", "address=va"], "for csv and parquet"),
        (["replay", "csv:{tmp}/named", "--column", "addres=va"], "'addres' (near: address)"),
        (["replay", "csv:{tmp}/named"], "or to be told what it is called (address=NAME)"),
        (["replay", "{rw}", "--write"], "for array and npy"),
        (["replay", "lackey:"], "'lackey:': expected a file's name"),
        (["replay", "{rw}", "--json", "{tmp}/out", "--parquet", "{tmp}/../{tmp.name}/out"], "out: expected a file of its own"),
        (["replay", "{rw}", "--json", "{rw}"], "t.rw: expected a file of its own"),
        (["replay", "rw:{rw}", "--parquet", "{rw}"], "t.rw: expected a file of its own"),
        (["replay", "{tmp}/none.rw"], "none.rw: No such file"),
        (["replay", "{tmp}"], "directory"),
        (["replay", "lakcey:{rw}"], "lackey"),
        (["replay", "{tmp}/empty"], "empty"),
        (["replay", "{tmp}/garbage"], "garbage"),
        (["replay", "lackey:{tmp}/garbage"], "no accesses"),
        (["replay", "rw:{tmp}/broken"], "broken: line 2"),
        (["replay", "{tmp}/cut.gz"], "cut.gz: byte"),
        (["replay", "{tmp}/cut.parquet"], "cut.parquet"),
        (["replay", "{tmp}/cut.npy"], "cut.npy: byte"),
        (["replay", "{tmp}/far"], "far: access 2: expected addresses below"),
        (["replay", "{rw}", "--json", "{tmp}/no/such"], "no/such: No such file"),
        (["replay", "{rw}", "--json", "{tmp}"], "directory"),
        (["replay", "{rw}", "--parquet", "{tmp}/no/such"], "no/such: No such file"),
        (["replay", "{rw}", "--json", "/dev/full"], "/dev/full: No space left on device"),
        (["record", "-o", "{tmp}/x.parquet"], "Missing argument"),
        (["record", "--", "true"], "Missing option"),
        (["arch", "lst"], "lst"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(args, said, rw, tmp_path):
    import gzip

    (tmp_path / "empty").touch()
    (tmp_path / "named").write_text("time,va\n1,4096\n")
    (tmp_path / "garbage").write_bytes(bytes(range(128, 256)) * 9)
    (tmp_path / "broken").write_text("400000 R\n4000zz R\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"400000 R\n" * 5000)[:40])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + bytes(100))
    np.save(tmp_path / "cut.npy", np.arange(100, dtype=np.uint64))
    os.truncate(tmp_path / "cut.npy", 300)
    (tmp_path / "far").write_text("400000 R\nffff800000000000 W\n")
    before = sorted(os.listdir(tmp_path))
    assert said in refused(*(arg.format(rw=rw, tmp=tmp_path) for arg in args))
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("option", ["--json", "--parquet"])
def test_a_failing_replay_leaves_the_former_output_as_it_was_and_says_why_as_without(rw, tmp_path, option):
    out = tmp_path / "r.json"
    out.write_text("before")
    said = refused("replay", rw, "--frames", 20, "--swap", "0", option, out)
    assert "out of memory" in said and said == refused("replay", rw, "--frames", 20, "--swap", "0")
    assert out.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["r.json", "t.rw"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_is_one_line_and_status_2_and_nothing_half_written(tmp_path, number):
    np.save(tmp_path / "t.npy", np.tile(np.arange(1 << 16, dtype=np.uint64) << np.uint64(12), 1000))
    # every access faults and evicts: seconds on any machine, and the first of them do for the signal
    argv = [*COMMAND, "replay", str(tmp_path / "t.npy"), "--write", "-m", "10%", "--json", str(tmp_path / "r.json")]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any(name.endswith(".part") for name in os.listdir(tmp_path)):
        time.sleep(0.01)
    time.sleep(0.5)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (2, "", "rmapemu: interrupted; nothing was written\n")
    assert os.listdir(tmp_path) == ["t.npy"]


def test_ctrl_c_while_the_command_line_loads_is_one_line_too():
    child = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True)
    assert (child.returncode, child.stdout, child.stderr) == (2, "", "rmapemu: interrupted; nothing was written\n")


def test_a_reader_that_goes_away_is_no_traceback(rw):
    pipeline = f"{shlex.join([*COMMAND, 'replay', rw, '--json', '-'])} | head -c 10"
    child = subprocess.run(["sh", "-c", pipeline], capture_output=True, text=True)
    assert child.stderr == ""


def test_closed_standard_files_are_as_if_empty(rw):
    for how, said in (
        (f"replay {rw} -m 80% >&- 2>&-", ""),
        (f"replay {rw} -m 80% 2>&- >&- <&-", ""),
        ("replay - <&-", "rmapemu: standard input: expected accesses, found an empty file: no accesses\n"),
    ):
        child = subprocess.run(["sh", "-c", f"{shlex.join(COMMAND)} {how}"], capture_output=True, text=True)
        assert (child.returncode, child.stdout, child.stderr) == (2 if said else 0, "", said)


def test_a_full_standard_output_is_one_line_and_status_2(rw):
    with open("/dev/full", "w") as full:
        child = subprocess.run([*COMMAND, "replay", rw], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (child.returncode, child.stderr) == (2, "rmapemu: standard output: No space left on device\n")


def test_the_table_in_the_readme_is_what_the_demo_prints(tree):
    block = (tree / "README.md").read_text().split("```")[1]
    shown = [line.split() for line in block.splitlines()[1:] if line and line[0].isalpha()]
    result = CliRunner().invoke(main, ["replay", "demo", "-m", "10%", "--arch", "x86_64", "--arch", "s390"])
    printed = [line.split() for line in result.output.splitlines()]
    assert len(shown) == 10
    assert [line for line in shown if line not in printed] == []


def test_next_to_nothing_is_loaded_before_ctrl_c_is_answered():
    """Until then a Ctrl-C is the interpreter's, which has a traceback for it."""
    asked = "import sys; sys.path.append(sys.argv[1]); old = {*sys.modules}; import rmapemu.__main__; print(*sorted({*sys.modules} - old))"
    child = subprocess.run([sys.executable, "-S", "-c", asked, rmapemu.get_include()], capture_output=True, text=True, check=True)
    assert child.stdout.split() == ["__future__", "rmapemu", "rmapemu.__main__"]
