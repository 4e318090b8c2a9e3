# SPDX-License-Identifier: GPL-2.0-only
"""Where a trace's bytes come from: a path, standard input or an open file, plain or compressed.

Models nothing of the kernel. A Source counts the stored bytes, looks ahead without consuming, and decompresses
gzip and zstd by their magic, whatever the file is called; a truncated or corrupt file is a TraceError.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from typing import Any, BinaryIO

import pyarrow as pa

from rmapemu.errors import TraceError
from rmapemu.trace.base import one_line

HEAD_BYTES = 1 << 16
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Counted(io.RawIOBase):
    """A binary file, its bytes counted, the first ones also to be had by look-ahead."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._ahead = b""
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._ahead:
            part = self._ahead[: len(view)]
            self._ahead = self._ahead[len(part) :]
        elif isinstance(self._file, io.FileIO):  # without a copy: a quarter of the time of reading lackey's text
            count = self._file.readinto(view) or 0
            self.bytes_read += count
            return count
        else:
            part = _read_some(self._file, len(view))
        view[: len(part)] = part
        self.bytes_read += len(part)
        return len(part)

    def read(self, count: int = -1, /) -> bytes:
        """`count` bytes, fewer only at the end (readinto gives what is there, as a pipe does)."""
        if count < 0:
            return self.readall()
        buffer = bytearray(min(count, HEAD_BYTES))
        got = 0
        while got < count:
            if got == len(buffer):  # as much again as has come: a header that is wrong may ask for gigabytes
                buffer.extend(bytes(min(got, count - got)))
            with memoryview(buffer) as view:
                part = self.readinto(view[got:])
            if not part:
                break
            got += part
        return bytes(buffer[:got])

    def peek(self, count: int) -> bytes:
        while len(self._ahead) < count:
            part = _read_some(self._file, count - len(self._ahead))
            if not part:
                break
            self._ahead += part
        return self._ahead[:count]


def _read_some(file: BinaryIO, count: int) -> bytes:
    """At most `count` bytes, without waiting for all of them where the file can do that (a pipe)."""
    part = file.read1(count) if isinstance(file, io.BufferedReader) else file.read(count)
    if part is None:  # non-blocking, and nothing there
        raise BlockingIOError("a trace cannot be read from a non-blocking file")
    if not isinstance(part, (bytes, bytearray, memoryview)):
        raise TypeError(f"a trace is read from a binary file, not from one that gives {type(part).__name__}")
    return bytes(part)


class Source:
    """An open trace: `name` for messages, `path` or None, `stream` the decompressed bytes (read, readinto, peek).

    `file` is the underlying file, for formats that have to seek; `seekable` whether they can.
    """

    def __init__(self, file: BinaryIO, name: str, path: str | None, owned: bool):
        self.file, self.name, self.path, self._owned = file, name, path, owned
        self.bytes_total = _length(file)
        self._counted = _Counted(file)
        self.compression: str | None = None
        self.bytes_consumed: int | None = None  # set by a reader that does not use `stream`
        self._inner: Any = None
        self.stream: _Counted = self._counted
        self._start()

    def _start(self) -> None:
        magic = self._counted.peek(4)
        if magic.startswith(GZIP_MAGIC):
            self.compression, self._inner = "gzip", gzip.GzipFile(fileobj=self._counted, mode="rb")
        elif magic == ZSTD_MAGIC:
            wrapped = pa.PythonFile(self._counted, mode="r")
            self.compression, self._inner = "zstd", pa.CompressedInputStream(wrapped, "zstd")
        if self._inner is not None:
            self.stream = _Counted(_Decompressed(self))  # type: ignore[arg-type]

    @property
    def seekable(self) -> bool:
        return self.compression is None and _seekable(self.file)

    @property
    def bytes_read(self) -> int:
        return self._counted.bytes_read if self.bytes_consumed is None else self.bytes_consumed

    def head(self) -> bytes:
        """The first 64 KiB, decompressed, or the whole of a shorter trace; they remain to be read."""
        return self.stream.peek(HEAD_BYTES)

    def error(self, where: str, expected: str, found: object) -> TraceError:
        """The one line for a place in this trace; an empty `where` stands for the whole of it."""
        place = f"{self.name}: {where}" if where else self.name
        return TraceError(f"{place}: expected {expected}, found {one_line(found)}")

    def close(self) -> None:
        self._inner = None
        if self._owned:
            self.file.close()


class _Decompressed(io.RawIOBase):
    """The plain bytes of a compressed Source; what its library raises becomes a TraceError."""

    def __init__(self, source: Source):
        self._source = source

    def read(self, count: int = -1, /) -> bytes:
        source = self._source
        try:
            return bytes(source._inner.read(count))
        except (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno and not isinstance(error, pa.ArrowException):
                raise
            where = f"byte {source.bytes_read}"
            raise source.error(where, f"{source.compression} data up to its end", one_line(error)) from error


def open_source(what: Any) -> Source:
    """A path ("-": standard input) or an open binary file as a Source. OSError as open() raises it."""
    if what == "-":
        return Source(sys.stdin.buffer, "standard input", None, owned=False)
    if isinstance(what, (str, os.PathLike)):
        path = os.fspath(what)
        file = open(path, "rb", buffering=0)
        try:
            return Source(file, path, path, owned=True)
        except BaseException:
            file.close()
            raise
    name = getattr(what, "name", None)
    return Source(what, name if isinstance(name, str) else "file", None, owned=False)


def _seekable(file: Any) -> bool:
    return bool(getattr(file, "seekable", lambda: False)())


def _length(file: Any) -> int | None:
    """Bytes from here to the end, where that can be known."""
    if not _seekable(file):
        return None
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return int(end - here)
