# SPDX-License-Identifier: GPL-2.0-only
"""What people see: rich tables and progress bars on a terminal, plain text without colours everywhere else.

Models nothing of the kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TextIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

PIPE_COLUMNS = 1000  # nothing is wrapped that a program may read


def console(file: TextIO | None = None) -> Console:
    """A rich console on the file (sys.stdout); what is no terminal gets neither colours nor wrapping."""
    file = sys.stdout if file is None else file
    if file.isatty():
        return Console(file=file, highlight=False)
    return Console(file=file, width=PIPE_COLUMNS, color_system=None, force_terminal=False, highlight=False, soft_wrap=True)


def table(rows: Sequence[Sequence[str]], *, numbers: bool = True) -> Table:
    """A rich table of rows of text: the first row is the head. numbers: all columns but the first to the right."""
    out = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, head in enumerate(rows[0]):
        out.add_column(head, justify="right" if i and numbers else "left", overflow="fold")
    for row in rows[1:]:
        out.add_row(*row)
    return out


def fitting(rows: Sequence[Sequence[str]], out: Console) -> list[list[list[str]]]:
    """The rows cut between columns, the first column before each part: parts that the console's width holds unfolded, where it can."""
    room = out.options.update(max_width=PIPE_COLUMNS)
    parts: list[list[list[str]]] = []
    for column in range(1, len(rows[0])):
        if parts:
            wider = [[*part, row[column]] for part, row in zip(parts[-1], rows, strict=True)]
            if Measurement.get(out, room, table(wider)).maximum <= out.width:
                parts[-1] = wider
                continue
        parts.append([[row[0], row[column]] for row in rows])
    return parts or [[list(row) for row in rows]]


def print_rows(
    rows: Sequence[Sequence[str]], notes: Sequence[str] = (), *, plain: Callable[[list[list[str]]], str], numbers: bool = True
) -> None:
    """The rows as a table on standard output, then the notes, a line each. plain: draws them where that is a pipe."""
    if sys.stdout.isatty():
        out = console()
        for part in fitting(rows, out) if numbers else [rows]:
            out.print(table(part, numbers=numbers))
        for note in notes:
            out.print(note, style="dim", markup=False)
        return
    print(plain([list(row) for row in rows]))
    for note in notes:
        print(note)


class Progress:
    """`with Progress() as p: p(what, done, total)`: a bar for each `what`, on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._tasks: dict[str, TaskID] = {}
        if sys.stderr.isatty():
            text = TextColumn("{task.description}")
            self._bar = Bar(
                text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console(sys.stderr), transient=True
            )

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if self._bar is None:
            return
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
