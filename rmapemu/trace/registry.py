# SPDX-License-Identifier: GPL-2.0-only
"""Which formats there are: our own and those of entry points in the group `rmapemu.trace`; and which one a file has.

Models nothing of the kernel. A reader is loaded when it is first asked for; one that does not load is named with its
reason where it is asked for, and harms nothing else. Our own names cannot be taken over.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rmapemu.errors import TraceError
from rmapemu.trace.base import Reader, near, one_line
from rmapemu.trace.source import Source

GROUP = "rmapemu.trace"

BUILT_IN = {
    "parquet": "rmapemu.trace.parquet:PARQUET",
    "npy": "rmapemu.trace.npy:NPY",
    "lackey": "rmapemu.trace.lackey:LACKEY",
    "rw": "rmapemu.trace.lackey:RW",
    "csv": "rmapemu.trace.csvfile:CSV",
}
"""Formats that are there also where the package is not installed; in this order a file is asked for its format."""


def _others() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def formats() -> list[str]:
    """The names that may stand before the colon in `format:path`."""
    return [*BUILT_IN, *sorted(_others())]


def find(name: str) -> Reader:
    """The reader of a format. TraceError for an unknown one (with the near names) or one that does not load."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        reader: Any = getattr(import_module(module), attribute)
        return reader  # type: ignore[no-any-return]
    point = _others().get(name)
    if point is None:
        raise TraceError(f"unknown trace format {name!r}{near(name, formats())}")
    try:
        reader = point.load()
    except Exception as error:  # whatever a foreign module raises
        raise TraceError(f"trace format {name!r} ({point.value}) does not load: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(reader, Reader):
        raise TraceError(f"trace format {name!r} ({point.value}): expected functions sniff and read, found {reader!r}")
    return reader


def guess(source: Source) -> tuple[str, Reader]:
    """The format of an open trace by its first 64 KiB; ours are asked first, csv last."""
    head = source.head()
    if not head:
        raise source.error("", "accesses", "an empty file: no accesses")
    ours = [name for name in BUILT_IN if name != "csv"]
    for name in [*ours, *sorted(_others()), "csv"]:
        reader = _sniffing(name, head)
        if reader is not None:
            return name, reader
    found = repr(head[:24])[1:]
    raise source.error("", f"a trace in one of the formats {', '.join(formats())}", f"a file that begins {found}")


def _sniffing(name: str, head: bytes) -> Reader | None:
    """The reader if it knows the head as its own; None also for a foreign one that is broken."""
    try:
        reader = find(name)
        return reader if reader.sniff(head) else None
    except Exception:
        if name in BUILT_IN:
            raise
        return None
