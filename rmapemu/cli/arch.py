# SPDX-License-Identifier: GPL-2.0-only
"""`rmapemu arch`: the architectures that are installed."""

from __future__ import annotations

import click

from rmapemu.hw.registry import available
from rmapemu.report import print_rows
from rmapemu.sim.table import plain


@click.group(short_help="The architectures that are installed.")
def arch() -> None:
    """The architectures that are installed.

    \b
    rmapemu arch list
    """


@arch.command("list", short_help="Names, page sizes, levels, capabilities.")
def list_() -> None:
    """List the architectures, those that cannot be used with the reason.

    \b
    rmapemu arch list
    """
    rows = [["arch", "page", "levels", "capabilities", "from"]]
    problems = []
    for found in available():
        backend = found.backend
        if backend is None:
            problems.append(f"{found.name} ({found.source}) cannot be used: {found.problem}")
            continue
        names = ", ".join(sorted(backend.capabilities)) or "-"
        rows.append([found.name, f"{1 << backend.page_shift} B", str(backend.levels), names, found.source])
    print_rows(rows, problems, plain=lambda rows: plain(rows, numbers=False), numbers=False)
