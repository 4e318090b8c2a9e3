# SPDX-License-Identifier: GPL-2.0-only
"""Arrays: a NumPy array of byte addresses, in memory or in a `.npy` file.

Models nothing of the kernel. The file is streamed rather than mapped, so that one that is cut short while it is read
gives an error and no SIGBUS, and so that it may come through a pipe or compressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from rmapemu.trace.base import KIND_READ, KIND_WRITE, Batch, Options, TraceStats
from rmapemu.trace.source import Source

MAGIC = b"\x93NUMPY"


class Writes:
    """The kinds for addresses [start, stop) from `write`: None (all read), a bool, or a bool array of `total`."""

    def __init__(self, write: Any, total: int):
        self._all = KIND_READ
        self._each: np.ndarray | None = None
        if write is None or isinstance(write, (bool, np.bool_)):
            self._all = KIND_WRITE if write else KIND_READ
            return
        if not isinstance(write, np.ndarray) or write.dtype != np.bool_:
            got = f"{write.dtype} array" if isinstance(write, np.ndarray) else type(write).__name__
            raise TypeError(f"write: expected a bool or an array of bool, found {got}")
        if write.shape != (total,):
            raise ValueError(f"write: expected {total} values, one for each address, found shape {write.shape}")
        self._each = write

    def __call__(self, start: int, stop: int) -> np.ndarray:
        if self._each is None:
            return np.full(stop - start, self._all, np.uint8)
        return np.ascontiguousarray(self._each[start:stop]).view(np.uint8)


def check_addresses(array: np.ndarray) -> None:
    """TypeError or ValueError unless `array` is one-dimensional and of an unsigned integer dtype."""
    if array.dtype.kind != "u":
        hint = "; addresses.astype(np.uint64) converts it" if array.dtype.kind == "i" else ""
        raise TypeError(f"expected byte addresses as a uint64 array, found dtype {array.dtype}{hint}")
    if array.ndim != 1:
        raise ValueError(f"expected byte addresses as an array of one dimension, found shape {array.shape}")


class ArraySource:
    """What a Trace over an array in memory has in place of a Source."""

    name, path = "array", None

    def __init__(self, array: np.ndarray):
        check_addresses(array)
        self.array = array
        self.bytes_total, self.bytes_read = array.nbytes, 0

    def close(self) -> None:
        """Nothing to give back."""


def read_array(source: ArraySource, options: Options) -> Iterator[Batch]:
    """Batches over views of the array where it is contiguous uint64 of this machine's byte order, else over copies."""
    array = source.array
    kinds = Writes(options.write, len(array))
    for start in range(0, len(array), options.batch):
        part = np.ascontiguousarray(array[start : start + options.batch], np.uint64)
        source.bytes_read = min(len(array), start + options.batch) * array.itemsize
        yield Batch(None, part, None, kinds(start, start + len(part)))


class NpyReader:
    """A Reader of `.npy` files that hold one array of unsigned integers."""

    def sniff(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def read(self, source: Source, options: Options, stats: TraceStats) -> Iterator[Batch]:
        total, dtype = _header(source)
        kinds = Writes(options.write, total)
        start = 0
        while start < total:
            want = min(options.batch, total - start)
            raw = bytearray(want * dtype.itemsize)
            got = _fill(source, raw)
            if got < len(raw):
                raise source.error(f"byte {source.bytes_read}", f"{total} addresses", f"{start + got // dtype.itemsize}")
            part = np.frombuffer(raw, dtype).astype(np.uint64, copy=False)
            yield Batch(None, part, None, kinds(start, start + want))
            start += want
        if source.stream.peek(1):
            raise source.error(f"byte {source.bytes_read}", f"the end after {total} addresses", "more bytes")


def _header(source: Source) -> tuple[int, np.dtype]:
    """(addresses, dtype) of the file; the stream stands behind the header."""
    try:
        version = npy_format.read_magic(source.stream)
        read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, _fortran, dtype = read(source.stream)
    # numpy evaluates the header, and tokenizes what it cannot evaluate
    except (ValueError, TypeError, SyntaxError, TokenError, MemoryError, OverflowError, RecursionError) as error:
        raise source.error("header", "a .npy file with one array of unsigned integers", error) from error
    if dtype.kind != "u" or len(shape) != 1 or shape[0] < 0:
        raise source.error("header", "one array of unsigned integers in one dimension", f"{dtype}, shape {shape}")
    return int(shape[0]), dtype


def _fill(source: Source, buffer: bytearray) -> int:
    """Read until `buffer` is full or the stream ends; the number of bytes read."""
    got = 0
    with memoryview(buffer) as view:
        while got < len(buffer):
            count = source.stream.readinto(view[got:])
            if not count:
                break
            got += count
    return got


NPY = NpyReader()
