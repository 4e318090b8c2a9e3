# SPDX-License-Identifier: GPL-2.0-only
"""open_trace: any source of accesses as one iterator of batches, with statistics and times.

Models nothing of the kernel. The reader's time is measured apart from its consumer's, which runs between batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from rmapemu.errors import TraceError
from rmapemu.trace import registry
from rmapemu.trace.base import DEFAULT_BATCH, KIND_EXEC, Batch, Options, TraceStats, check_batch, near
from rmapemu.trace.columns import check_names
from rmapemu.trace.npy import ArraySource, Writes, read_array
from rmapemu.trace.shipped import demo_trace
from rmapemu.trace.source import Source, open_source

_TAKES = {"columns": ("csv", "parquet"), "write": ("array", "npy")}
DEMO = "demo"
_Opened = tuple[str, Callable[[TraceStats], Iterator[Batch]], "Source | ArraySource"]


class Trace:
    """An open trace: iterate over it for its batches; a context manager that closes it.

    format: name of the format (`array` for one in memory). path: of the file, or None. stats: TraceStats, as far as
    it has been read. A file or an array can be iterated over again, each time from its start and with new stats;
    a pipe cannot (`rewindable`), whatever its name.
    """

    def __init__(self, open_again: Callable[[], _Opened], options: Options):
        self._open_again, self._options = open_again, options
        self.format, self._batches, self._source = open_again()
        self.path: str | None = self._source.path
        self.stats = TraceStats()
        self.bytes_total: int | None = self._source.bytes_total
        self.rewindable: bool = self.format == "array" or (self.path is not None and self.bytes_total is not None)
        self._begun = False
        self._current: Iterator[Batch] | None = None

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What messages call it: the path, the open file's name, "standard input", "array"."""
        return self._source.name

    @property
    def bytes_read(self) -> int:
        """As stats.bytes_read: for progress bars, against bytes_total."""
        return self.stats.bytes_read

    def close(self) -> None:
        """Close the file, if open_trace opened it. A trace that is iterated over again opens it again."""
        self._source.close()
        self._begun = True

    def __next__(self) -> Batch:
        if self._current is None:
            self._current = iter(self)
        return next(self._current)

    def __iter__(self) -> Iterator[Batch]:
        if self._begun:
            if not self.rewindable:
                raise TraceError(f"{self._source.name}: can be read only once")
            self._source.close()
            self.format, self._batches, self._source = self._open_again()
            self.stats = TraceStats()
        self._begun = True
        drop = not self._options.instructions and self.format != "lackey"  # lackey's reader leaves them out itself
        return _run(self.format, self._source, self._batches, self.stats, drop)


def _run(
    name: str,
    source: Source | ArraySource,
    open_batches: Callable[[TraceStats], Iterator[Batch]],
    stats: TraceStats,
    drop_instructions: bool,
) -> Iterator[Batch]:
    """A reader's batches, checked, counted and timed; the file is closed at their end, however it comes."""
    batches = open_batches(stats)
    try:
        while True:
            began = perf_counter()
            batch = next(batches, None)
            if batch is not None:
                check_batch(batch, source.name)
                batch = _data_only(batch) if drop_instructions else batch
            stats.seconds += perf_counter() - began
            stats.bytes_read = source.bytes_read
            if batch is None:
                break
            stats.accesses += batch.accesses
            if batch.accesses:
                yield batch
    finally:
        source.close()
    if not stats.accesses:
        skipped = f" in {stats.skipped_lines} lines" if stats.skipped_lines else ""
        raise TraceError(f"{source.name}: expected accesses in format {name}, found none{skipped}: no accesses")


def _data_only(batch: Batch) -> Batch:
    keep = batch.kind != KIND_EXEC
    if keep.all():
        return batch
    pid, size = (None if array is None else array[keep] for array in (batch.pid, batch.size))
    return Batch(pid, batch.address[keep], size, batch.kind[keep])


def open_trace(
    source: str | os.PathLike[str] | np.ndarray | BinaryIO | tuple[str, BinaryIO],
    *,
    write: bool | np.ndarray | None = None,
    batch: int = DEFAULT_BATCH,
    columns: Mapping[str, str] | None = None,
    instructions: bool = True,
) -> Trace:
    """Open a trace; nothing but its first bytes is read until it is iterated over, and then in bounded memory.

    source: "format:path", a path (the format guessed from its content; gzip and zstd are recognised for the formats
    of text and for npy), "-" or "format:-" for standard input, "demo" for the shipped trace, an open binary file or a
    pair (format, open file), or an array of byte addresses (unsigned integers, one dimension).
    write: for arrays and npy, bool or bool[n]: which accesses write (None: all read). batch: most accesses in one
    Batch. columns: for csv and parquet, our name -> the file's name of a column, "NAME:hex" where its numbers are
    bare hexadecimal. instructions: False leaves instruction fetches out.

    Raises OSError where there is no file, TraceError where it is not what it should be (here or while iterating),
    TypeError and ValueError for arguments that are wrong.

    >>> import numpy as np
    >>> trace = open_trace(np.array([4096, 8192], np.uint64), write=True)
    >>> [batch.kind.tolist() for batch in trace], trace.stats.accesses
    ([[1, 1]], 2)
    """
    if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)):
        raise TypeError(f"batch: expected a number of accesses, found {type(batch).__name__}")
    if not 1 <= batch <= 1 << 28:
        raise ValueError(f"batch: expected 1 to {1 << 28} accesses, found {batch}")
    check_names(dict(columns or {}))
    options = Options(int(batch), columns, write, instructions)
    if isinstance(source, np.ndarray):
        return Trace(lambda: _open_array(source, options), options)
    name, what = _split_name(source)
    if what == DEMO and name is None and not os.path.exists(what):
        what = demo_trace()
    return Trace(lambda: _open_file(name, what, options), options)


def _open_array(array: np.ndarray, options: Options) -> _Opened:
    source = ArraySource(array)
    Writes(options.write, len(array))  # says now what is wrong with it
    _check_options("array", options)
    return "array", lambda stats: read_array(source, options), source


def _open_file(name: str | None, what: Any, options: Options) -> _Opened:
    reader = registry.find(name) if name else None
    source = open_source(what)
    try:
        if reader is None:
            name, reader = registry.guess(source)
        assert name is not None
        _check_options(name, options)
        read = reader.read
        return name, lambda stats: read(source, options, stats), source
    except BaseException:
        source.close()
        raise


def _check_options(name: str, options: Options) -> None:
    for option, takers in _TAKES.items():
        if getattr(options, option) is not None and name not in takers and name in (*registry.BUILT_IN, "array"):
            raise TypeError(f"{option}=: for {' and '.join(takers)}, not for a trace in format {name!r}")


def _split_name(source: Any) -> tuple[str | None, Any]:
    """(format or None, path or file) of what the caller gave. A name before a colon is a format unless a file is called so."""
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], str):  # (format, open file)
        return source
    if isinstance(source, str):
        name, colon, path = source.partition(":")
        if colon and name in registry.formats():
            if not path:
                raise TraceError(f"{source!r}: expected a file's name after the format")
            return name, path
        if colon and name.isidentifier() and not os.path.exists(source):
            raise TraceError(f"unknown trace format {name!r}{near(name, registry.formats())}, and no file {source!r}")
        return None, source
    if isinstance(source, os.PathLike) or hasattr(source, "read"):
        return None, source
    got = type(source).__name__
    raise TypeError(f"expected a trace as a path, an open binary file or an array of uint64, found {got}")
