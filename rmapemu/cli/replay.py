# SPDX-License-Identifier: GPL-2.0-only
"""`rmapemu replay`: the main job."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from typing import BinaryIO

import click

from rmapemu.report import Progress, print_rows
from rmapemu.sim import Result, replay_all
from rmapemu.sim.output import series_table, whole_file, write_parquet_to
from rmapemu.sim.table import notes, plain, rows_of

MEMORY = "Memory for the trace's own pages: a size (64M) or a share of the pages that it touches (10%). Default: all of them."
FRAMES = "Instead of -m: exactly so many frames, no watermarks, no zero page, one eviction at a time."
COLUMN = "What a csv or Parquet file calls a column of ours (address, size, kind, pid): address=va, or address=va:hex for bare hexadecimal."
WRITE = "For npy, which has no kinds: every access is a store (otherwise a load)."
SWAP = "Size of the swap area (1G; 0: none). Default: enough for the trace."
ARCH = "Architecture; several give columns side by side. See 'rmapemu arch list'."
RECLAIM = "Policy: v3.2 (the kernel's two lists), lru, fifo, clock, random, opt; several give columns side by side."
SYSCTL = "A knob of /proc/sys/vm: swappiness=100; page-cluster=0 turns swap readahead off. Several may be given."
JSON = "Write all numbers as JSON, without times: the same bytes for the same replay. '-': to standard output, without the table."
PARQUET = "Write the time series (a row per million accesses) as Parquet."


@click.command(short_help="Replay a memory trace on emulated machines.")
@click.argument("trace")
@click.option("-m", "--memory", metavar="SIZE|SHARE", help=MEMORY)
@click.option("--frames", type=int, metavar="N", help=FRAMES)
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help=COLUMN)
@click.option("--write", is_flag=True, default=None, help=WRITE)
@click.option("--swap", metavar="SIZE", help=SWAP)
@click.option("--arch", "archs", multiple=True, default=["x86_64"], show_default=True, metavar="NAME", help=ARCH)
@click.option("--reclaim", "reclaims", multiple=True, default=["v3.2"], show_default=True, metavar="NAME", help=RECLAIM)
@click.option("--seed", type=int, default=0, show_default=True, help="For --reclaim random.")
@click.option("--sysctl", "knobs", multiple=True, metavar="NAME=VALUE", help=SYSCTL)
@click.option("--json", "json_path", metavar="FILE", help=JSON)
@click.option("--parquet", "parquet_path", metavar="FILE", help=PARQUET)
def replay(
    trace: str,
    memory: str | None,
    frames: int | None,
    columns: tuple[str, ...],
    write: bool | None,
    swap: str | None,
    archs: tuple[str, ...],
    reclaims: tuple[str, ...],
    seed: int,
    knobs: tuple[str, ...],
    json_path: str | None,
    parquet_path: str | None,
) -> None:
    """Replay TRACE through hardware page tables, faults, swap and reclaim, and show what it took.

    TRACE is a file (lackey, rw, csv, npy, Parquet: guessed from its content, or FORMAT:FILE), "-" for standard input,
    or "demo", the trace that ships with rmapemu.

    \b
    rmapemu replay demo -m 10% --arch x86_64 --arch s390
    rmapemu replay sort.parquet -m 64M --swap 1G --json result.json
    rmapemu replay lackey:out.txt.gz --frames 1000 --reclaim lru --reclaim opt
    valgrind --tool=lackey --trace-mem=yes ls 2>&1 >/dev/null | rmapemu replay lackey:- -m 50%
    """
    _check_files(trace, json_path, parquet_path)
    with ExitStack() as outputs:
        json_out = _open(outputs, json_path)
        parquet_out = _open(outputs, parquet_path)
        with Progress() as progress:
            results = replay_all(
                trace, archs=archs, reclaims=reclaims, write=write, columns=dict(map(_column, columns)) or None, memory=memory,
                frames=frames, swap=swap, seed=seed, sysctl=dict(map(_knob, knobs)), progress=progress,
            )  # fmt: skip
        if json_out is not None:
            json_out.write(_json(results).encode())
        if parquet_out is not None:
            write_parquet_to(parquet_out, series_table(results))
    if json_path == "-":
        sys.stdout.write(_json(results))
        return
    print_rows(rows_of(results), notes(results), plain=plain)


def _knob(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    try:
        return name, int(value)
    except ValueError:
        raise ValueError(f"--sysctl {text}: expected NAME=VALUE with a number, such as page-cluster=0") from None


def _column(text: str) -> tuple[str, str]:
    ours, _, theirs = text.partition("=")
    if not ours or not theirs:
        raise ValueError(f"--column {text}: expected OURS=THEIRS, such as address=va")
    return ours, theirs


def _check_files(trace: str, *outputs: str | None) -> None:
    """No file may be replaced by two outputs, and the trace by none."""
    taken = {os.path.realpath(name) for name in (trace, trace.partition(":")[2]) if os.path.isfile(name)}
    for path in outputs:
        if path in (None, "-") or (os.path.exists(str(path)) and not os.path.isfile(str(path))):
            continue
        real = os.path.realpath(str(path))
        if real in taken:
            raise ValueError(f"{path}: expected a file of its own to write to, found the trace or another output")
        taken.add(real)


def _open(outputs: ExitStack, path: str | None) -> BinaryIO | None:
    return None if path in (None, "-") else outputs.enter_context(whole_file(str(path)))


def _json(results: list[Result]) -> str:
    return json.dumps([result.as_dict() for result in results], indent=1) + "\n"
