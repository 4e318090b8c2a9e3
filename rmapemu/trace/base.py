# SPDX-License-Identifier: GPL-2.0-only
"""What every reader of traces shares: batches of accesses, statistics, the protocol of a reader.

Models nothing of the kernel. A third-party reader needs this module and `rmapemu.errors` only:
an object as `Reader` describes it, under a name in the entry-point group `rmapemu.trace`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from rmapemu.errors import TraceError
from rmapemu.trace._text import ACCESS_MAX_BYTES

if TYPE_CHECKING:
    from rmapemu.trace.source import Source

KIND_READ, KIND_WRITE, KIND_EXEC = 0, 1, 2
"""Values of Batch.kind (uint8). Lackey's M, a load and a store of one instruction, is KIND_WRITE."""

MAX_ACCESS_BYTES: int = ACCESS_MAX_BYTES
"""Largest size of one access (1 MiB): more is no instruction, and would let a short file touch any number of pages."""

DEFAULT_BATCH = 1 << 20


class Batch(NamedTuple):
    """Some accesses in the order in which they happened; all arrays have one length and are contiguous.

    pid: uint32[n], or None where the trace has one process. address: uint64[n], the first byte touched.
    size: uint32[n] in bytes, 1 to MAX_ACCESS_BYTES, or None where every access stays within a page.
    kind: uint8[n] of KIND_READ, KIND_WRITE, KIND_EXEC.
    An access may cross page boundaries: see `pages`.
    """

    pid: np.ndarray | None
    address: np.ndarray
    size: np.ndarray | None
    kind: np.ndarray

    @property
    def accesses(self) -> int:
        """n (len(batch) is the number of fields: 4)."""
        return len(self.address)


@dataclass
class TraceStats:
    """What has been read so far."""

    accesses: int = 0
    """Accesses handed out."""
    bytes_read: int = 0
    """Bytes taken from the file as it is stored (compressed ones where it is compressed) or from the array."""
    skipped_lines: int = 0
    """Lines of text that are no accesses (valgrind's own messages, a program's output, comments)."""
    modifies: int = 0
    """Accesses that load and store (lackey's M), also counted as one access each, of KIND_WRITE."""
    seconds: float = 0.0
    """Wall time spent in the reader: neither what the consumer does between batches, nor opening the file."""


@dataclass(frozen=True)
class Options:
    """What the caller of open_trace asked for.

    batch: most accesses in a Batch. columns: our name -> the file's name of a column, for formats that have columns.
    write: for formats without kinds, whether accesses write (None: they read). instructions: keep instruction fetches.
    """

    batch: int = DEFAULT_BATCH
    columns: Mapping[str, str] | None = None
    write: Any = None
    instructions: bool = True


@runtime_checkable
class Reader(Protocol):
    """What an entry point of group `rmapemu.trace` has to give (a module with these two functions will do)."""

    def sniff(self, head: bytes) -> bool:
        """Is this the format of a file that begins with `head` (decompressed; up to 64 KiB, the whole file if shorter)?"""

    def read(self, source: Source, options: Options, stats: TraceStats) -> Iterator[Batch]:
        """The trace in bounded memory, at most options.batch accesses each time, from source.stream.

        Raises TraceError (`source.error(where, expected, found)` builds one). Counts stats.skipped_lines and
        stats.modifies; the other counts are the caller's.
        """


def one_line(text: object, limit: int = 200) -> str:
    """Anything as one printable line of at most `limit` characters."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def near(name: str, names: Iterable[str]) -> str:
    """``" (near: a, b)"`` with the names that are most like `name`, or all of a few, or nothing.

    >>> near("adress", ["address", "size"])
    ' (near: address)'
    """
    known = [str(n) for n in names]
    folded = {n.lower(): n for n in known}
    close = [folded[n] for n in difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)]
    if not close and len(known) > 8:
        return ""
    return f" (near: {', '.join(close)})" if close else f" (there are: {', '.join(known) or 'none'})"


def check_batch(batch: Batch, name: str) -> None:
    """Raise TraceError unless the arrays have the lengths and dtypes that Batch promises (values are not looked at)."""
    n = len(batch.address)
    for field, dtype in (("pid", np.uint32), ("address", np.uint64), ("size", np.uint32), ("kind", np.uint8)):
        array = getattr(batch, field)
        if array is None and field in ("pid", "size"):
            continue
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != (n,):
            got = f"{array.dtype}{list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TraceError(f"{name}: the reader's {field} should be {np.dtype(dtype)}[{n}], found {got}")


def check_values(batch: Batch, name: str, first: int) -> None:
    """Raise TraceError for sizes, ends or kinds out of range; `first` is the number of the batch's first access.

    Extremes first: they take a tenth of the time of looking at each value, which is done only where one is wrong.
    """
    address, size, kind = batch.address, batch.size, batch.kind
    if not len(address):
        return
    if size is not None and not 1 <= size.min() <= size.max() <= MAX_ACCESS_BYTES:
        expected = f"a size from 1 to {MAX_ACCESS_BYTES}"
        _refuse((size == 0) | (size > MAX_ACCESS_BYTES), size, name, first, expected)
    if size is not None and int(address.max()) > 2**64 - MAX_ACCESS_BYTES:
        end = address + (size - np.uint32(1))
        _refuse(end < address, address, name, first, "an access that ends below 2**64")
    if kind.max() > KIND_EXEC:
        _refuse(kind > KIND_EXEC, kind, name, first, "a kind of 0 (read), 1 (write) or 2 (exec)")


def _refuse(wrong: np.ndarray, values: np.ndarray, name: str, first: int, expected: str) -> None:
    if wrong.any():
        i = int(wrong.argmax())
        raise TraceError(f"{name}: access {first + i + 1}: expected {expected}, found {values[i]}")
