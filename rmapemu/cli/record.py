# SPDX-License-Identifier: GPL-2.0-only
"""`rmapemu record`: a program's memory accesses, by valgrind, into Parquet."""

from __future__ import annotations

import signal
import sys

import click

from rmapemu.report import console
from rmapemu.trace import record as record_trace

RATE = "{accesses:,} accesses, {rate:.1f} M/s, {size:.1f} MB"


@click.command(short_help="Record a program's memory accesses.", context_settings={"ignore_unknown_options": True})
@click.option("-o", "--output", required=True, metavar="FILE", help="The trace to write (Parquet).")
@click.option("--no-instructions", is_flag=True, help="Leave instruction fetches out.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def record(output: str, no_instructions: bool, command: tuple[str, ...]) -> None:
    """Run COMMAND under valgrind and stream its loads, stores and instruction fetches into FILE.

    \b
    rmapemu record -o sort.parquet -- sort words.txt
    rmapemu record -o py.parquet --no-instructions -- python3 -c 'print(1)'
    """
    with _Rate() as rate:
        result = record_trace(output, list(command), instructions=not no_instructions, progress=rate)
    said = _text(result.accesses, result.seconds, result.bytes)
    click.echo(f"{output}: {said}", err=True)
    if result.status:
        click.echo(f"rmapemu: {command[0]} {_end(result.status)}; its trace was kept", err=True)


def _end(status: int) -> str:
    """How a program ended, from the status that subprocess gives it."""
    return f"ended with status {status}" if status > 0 else f"was killed by signal {-status} ({signal.strsignal(-status)})"


def _text(accesses: int, seconds: float, size: int) -> str:
    return RATE.format(accesses=accesses, rate=accesses / seconds / 1e6 if seconds else 0.0, size=size / 1e6)


class _Rate:
    """The rate and the size, on a terminal, while it runs."""

    def __init__(self) -> None:
        self._status = console(sys.stderr).status("recording") if sys.stderr.isatty() else None

    def __enter__(self) -> _Rate:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, accesses: int, seconds: float, size: int) -> None:
        if self._status is not None:
            self._status.update(f"recording: {_text(accesses, seconds, size)}")
