# SPDX-License-Identifier: GPL-2.0-only
"""Terminals get colours and bars, pipes get plain text."""

import io

from rmapemu.report import Progress, console, print_rows
from rmapemu.sim.table import plain

ROWS = [["", "x86_64", "s390"], ["faults", "1,000", "12"], ["replay", "-", "3.0 M/s"]]


class Terminal(io.StringIO):
    """Text that takes itself for a terminal."""

    def isatty(self):
        return True


def as_terminal(monkeypatch):
    """Let standard output and error be one."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", out)
    return out


def test_a_pipe_gets_plain_columns_and_the_notes(capsys):
    print_rows(ROWS, ["a note"], plain=plain)
    assert capsys.readouterr().out.splitlines() == [
        "        x86_64     s390",
        "------  ------  -------",
        "faults   1,000       12",
        "replay       -  3.0 M/s",
        "a note",
    ]


def test_words_stand_to_the_left(capsys):
    print_rows([["arch", "from"], ["s390", "a"]], plain=lambda rows: plain(rows, numbers=False), numbers=False)
    assert capsys.readouterr().out.splitlines() == ["arch  from", "----  ----", "s390  a"]


def test_a_terminal_gets_a_drawn_table(monkeypatch):
    terminal = as_terminal(monkeypatch)
    print_rows(ROWS, ["a [note]"], plain=plain)
    text = terminal.getvalue()
    assert "\x1b[1m" in text
    assert "a [note]" in text
    assert "x86_64" in text


def test_what_is_too_wide_for_a_terminal_comes_in_parts_each_with_the_first_column(monkeypatch):
    terminal = as_terminal(monkeypatch)
    heads = [f"policy number {i}" for i in range(9)]
    print_rows([["", *heads], ["faults", *("1,234,567" for _ in heads)]], plain=plain)
    lines = terminal.getvalue().splitlines()
    assert all(any(head in line for line in lines) for head in heads), "no head is folded"
    assert sum("faults" in line for line in lines) == 2


def test_a_pipe_is_never_wrapped_nor_coloured():
    out = io.StringIO()
    console(out).print("[bold]" + "x" * 500)
    assert out.getvalue() == "x" * 500 + "\n"


def test_progress_is_drawn_on_a_terminal_only(monkeypatch):
    terminal = as_terminal(monkeypatch)
    with Progress() as progress:
        progress("reading", 5, 10)
        progress("x86_64 v3.2", 10, 10)
    assert "reading" in terminal.getvalue()


def test_progress_says_nothing_to_a_pipe(capsys):
    with Progress() as progress:
        progress("reading", 5, None)
    assert capsys.readouterr() == ("", "")
