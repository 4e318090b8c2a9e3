# SPDX-License-Identifier: GPL-2.0-only
"""The rows that people see of one result or of several side by side, and their plain-text form.

Models nothing of the kernel. `rmapemu.report` draws the same rows for terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmapemu.sim.result import Result

Rows = list[list[str]]
"""The first row is the head, the first column the names."""


def _count(value: float) -> str:
    return f"{value:,}"


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _percent(value: float) -> str:
    return f"{value:.4%}"


def _bytes(value: float) -> str:
    """Three significant digits with a binary unit; exact bytes below 1 KiB.

    >>> _bytes(1000), _bytes(4096), _bytes(130 << 20)
    ('1000 B', '4.00 KiB', '130 MiB')
    """
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    if units[0] == "B":
        return f"{int(value)} B"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {units[0]}"


def _memory(r: Result) -> str:
    s = r.setup
    return _some(s.frames, "frame") + (", exactly" if s.exact_frames else "")


def _swap(r: Result) -> str:
    d, page = r.derived, r.setup.page_bytes
    return f"{_bytes(d['swap_in_pages'] * page)} / {_bytes(d['swap_out_pages'] * page)}"


def _rate(accesses: int, seconds: float) -> str:
    return f"{accesses / seconds / 1e6:,.1f} M/s ({seconds:.2f} s)" if seconds > 0 else "-"


ROWS: list[tuple[str, Callable[[Any], str]]] = [
    ("accesses", lambda r: _count(r.accesses)),
    ("touched pages", lambda r: _count(r.setup.touched_pages)),
    ("memory for them", _memory),
    ("faults", lambda r: _count(r.faults)),
    ("miss ratio", lambda r: _percent(r.derived["miss_ratio"])),
    ("write upgrades", lambda r: _count(r.write_upgrades)),
    ("evictions", lambda r: _count(r.derived["evictions"])),
    ("pages scanned per page reclaimed", lambda r: _ratio(r.derived["pages_scanned_per_page_reclaimed"])),
    ("rmap walks", lambda r: _count(r.derived["rmap_walks"])),
    ("VMAs visited per walk", lambda r: _ratio(r.derived["vmas_visited_per_walk"])),
    ("PTEs examined per walk", lambda r: _ratio(r.derived["ptes_examined_per_walk"])),
    ("TLB flushes", lambda r: _count(r.derived["tlb_flushes"])),
    ("storage-key operations", lambda r: _count(r.derived["storage_key_operations"])),
    ("swapped in / out", _swap),
    ("peak rss", lambda r: _bytes(r.derived["peak_rss_bytes"])),
    ("reading", lambda r: _rate(r.accesses, r.timing.read_seconds)),
    ("replay", lambda r: _rate(r.accesses, r.timing.replay_seconds)),
]
"""(name, text of it) for each row of the table."""


def heads(results: Sequence[Result]) -> list[str]:
    """A name for each column: the arch, the policy, or both, whichever tells them apart."""
    archs = {r.arch for r in results}
    policies = {r.reclaim for r in results}
    if len(policies) == 1:
        return [r.arch for r in results]
    return [r.reclaim if len(archs) == 1 else f"{r.arch} {r.reclaim}" for r in results]


def rows_of(results: Sequence[Result]) -> Rows:
    """Several results side by side."""
    return [["", *heads(results)], *([name, *map(text, results)] for name, text in ROWS)]


def plain(rows: Rows, *, numbers: bool = True) -> str:
    """Columns padded with spaces, a line of dashes under the head. numbers: all columns but the first to the right.

    >>> print(plain([["", "a"], ["faults", "12"]]))
             a
    ------  --
    faults  12
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(_line(row, widths, numbers).rstrip() for row in rows)


def _line(row: list[str], widths: list[int], numbers: bool) -> str:
    pad = str.rjust if numbers else str.ljust
    cells = [pad(cell, width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *cells])


def notes(results: Sequence[Result]) -> list[str]:
    """What has to be said with the numbers."""
    s = results[0].setup
    where = f"in {s.processes} processes" if s.processes > 1 else "in one process"
    said = [f"{_some(s.mappings, 'private anonymous mapping')} {where}, inferred from the touched pages: the trace has none."]
    if s.only_read_pages and not s.exact_frames:
        one, many = "is never written: it maps the zero page and takes", "are never written: they map the zero page and take"
        said.append(f"{_some(s.only_read_pages, 'touched page')} {one if s.only_read_pages == 1 else many} no memory.")
    if s.skipped_lines:
        one, many = "is no access and was", "are no accesses and were"
        said.append(f"{_some(s.skipped_lines, 'line')} of the trace {one if s.skipped_lines == 1 else many} skipped.")
    return said


def _some(number: int, what: str) -> str:
    """A number of things.

    >>> _some(1, "page"), _some(2000, "page")
    ('1 page', '2,000 pages')
    """
    return f"{number:,} {what}{'s' if number != 1 else ''}"
