# SPDX-License-Identifier: GPL-2.0-only
"""Our own traces: Parquet with the columns pid uint32, address uint64, size uint32, kind uint8, all but address optional.

Models nothing of the kernel. Row groups of 2**20 accesses keep reading bounded; pages carry checksums, so that a
flipped bit is an error and not another trace. A file is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
from pyarrow import parquet as pq

from rmapemu.errors import TraceError
from rmapemu.trace.base import Batch, Options, TraceStats, check_batch, check_values
from rmapemu.trace.columns import Columns
from rmapemu.trace.source import Source

MAGIC = b"PAR1"
ROW_GROUP = 1 << 20
TYPES = {"pid": pa.uint32(), "address": pa.uint64(), "size": pa.uint32(), "kind": pa.uint8()}


class ParquetReader:
    """A Reader of Parquet files; ours, and others with an `address` column (or columns= naming one)."""

    def sniff(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def read(self, source: Source, options: Options, stats: TraceStats) -> Iterator[Batch]:
        if not source.seekable:
            raise source.error("", "Parquet in a plain file (it is read from its end)", source.compression or "a pipe")
        columns: Columns | None = None
        try:
            source.file.seek(0)
            file = pq.ParquetFile(source.file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
            columns = Columns(source, file.schema_arrow.names, options.columns)
            names = list(columns.names.values())
            for block in file.iter_batches(options.batch, columns=names, use_threads=False):
                source.bytes_consumed = (source.bytes_total or 0) * (columns.rows + len(block)) // file.metadata.num_rows
                yield columns.batch(block)
        except TraceError:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            where = f"after row {columns.rows}" if columns else ""
            raise source.error(where, "an intact Parquet file", error) from error


PARQUET = ParquetReader()


class TraceWriter:
    """Writes a trace as Parquet: `with TraceWriter(path) as out: out.write(batch)`.

    The file appears under its name when the block ends well; an exception (a full disk, Ctrl-C) leaves nothing
    behind, and a file that had the name before as it was. The first batch decides whether there is a pid and a size.
    metadata: str -> str, kept in the file. level: of zstd. `accesses` and `bytes_written` tell how far it is.
    Raises OSError, ValueError for a path that is no regular file (a device, a pipe), and TraceError for batches that are
    none and for a trace without accesses.
    """

    def __init__(self, path: str | os.PathLike[str], *, metadata: dict[str, str] | None = None, level: int = 3):
        _check_output(Path(path))
        self.path = Path(path)
        self._target = Path(os.path.realpath(path))
        self.accesses = 0
        self._metadata, self._level = {"rmapemu.trace": "1", **(metadata or {})}, level
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[Batch] = []
        self._columns: list[str] | None = None
        handle, name = _create(self._target, str(self.path))
        self._part = Path(name)
        self._file: Any = os.fdopen(handle, "wb")

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def bytes_written(self) -> int:
        """Bytes of the file so far (what waits for a whole row group not counted)."""
        return 0 if self._file.closed else int(self._file.tell())

    def write(self, batch: Batch) -> None:
        """Append accesses; the arrays are not kept beyond the next row group."""
        check_batch(batch, str(self.path))
        check_values(batch, str(self.path), self.accesses)
        if self._file.closed:
            raise ValueError(f"{self.path}: the writer is closed")
        columns = [name for name, array in batch._asdict().items() if array is not None]
        if self._columns is None:
            self._columns = columns
        if columns != self._columns:
            raise TraceError(f"{self.path}: expected columns {self._columns}, found {columns}")
        self._waiting.append(batch)
        self.accesses += batch.accesses
        if sum(batch.accesses for batch in self._waiting) >= ROW_GROUP:
            with self._named():
                self._flush(whole_groups=True)

    def close(self) -> None:
        """Finish the file and give it its name; on any exception nothing is left."""
        if self._file.closed:
            return
        try:
            if not self.accesses:
                raise TraceError(f"{self.path}: no accesses to write")
            with self._named():
                self._finish()
        except BaseException:
            self.abort()
            raise

    def _finish(self) -> None:
        self._flush(whole_groups=False)
        assert self._writer is not None
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.chmod(self._part, 0o666 & ~_umask())
        os.replace(self._part, self._target)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """An OSError (a full disk) names the file."""
        try:
            yield
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(error.errno, os.strerror(error.errno), str(self.path)) from error

    def abort(self) -> None:
        """Give up and leave nothing behind."""
        writer, self._writer, self._waiting = self._writer, None, []
        for thing in (writer, self._file, self._file):
            # what cannot be written any more (a full disk) is not wanted any more; the second close drops the buffer
            with contextlib.suppress(OSError, pa.ArrowException):
                if thing is not None:
                    thing.close()
        self._part.unlink(missing_ok=True)

    def _flush(self, *, whole_groups: bool) -> None:
        table = pa.concat_tables([_table(batch) for batch in self._waiting])
        count = len(table) // ROW_GROUP * ROW_GROUP if whole_groups else len(table)
        if count:
            self._open(table.schema).write_table(table.slice(0, count).combine_chunks(), ROW_GROUP)
        rest = table.slice(count)
        self._waiting = [_batch(rest)] if len(rest) else []

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            few = [name for name in schema.names if name != "address"]
            self._writer = pq.ParquetWriter(
                self._file,
                schema.with_metadata(self._metadata),
                compression="zstd",
                compression_level=self._level,
                use_dictionary=few,
                column_encoding={"address": "BYTE_STREAM_SPLIT"},  # a tenth smaller than plain
                write_statistics=False,
                write_page_checksum=True,
                data_page_size=1 << 23,
            )
        return self._writer


def _check_output(path: Path) -> None:
    """Refuse at once what a finished trace could not be renamed to: a device would be replaced, a folder not."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: expected a regular file, or none yet, found a device or a pipe")


def _create(target: Path, name: str) -> tuple[int, str]:
    try:
        return tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:  # it names the hidden file
        raise OSError(error.errno, error.strerror, name) from error


def _table(batch: Batch) -> pa.Table:
    arrays = {name: array for name, array in batch._asdict().items() if array is not None}
    return pa.table({name: pa.array(array, TYPES[name]) for name, array in arrays.items()})


def _batch(table: pa.Table) -> Batch:
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return Batch(columns.get("pid"), columns["address"], columns.get("size"), columns["kind"])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_parquet(path: str | os.PathLike[str], batches: Iterable[Batch], *, metadata: dict[str, str] | None = None, level: int = 3) -> int:
    """Write batches (a Trace, for one) as a trace in Parquet, whole or not at all; the number of accesses."""
    with TraceWriter(path, metadata=metadata, level=level) as out:
        for batch in batches:
            out.write(batch)
    return out.accesses
