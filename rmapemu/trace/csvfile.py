# SPDX-License-Identifier: GPL-2.0-only
"""`csv:` traces: comma-separated text with a line of column names, streamed through Arrow.

Models nothing of the kernel. Cells are read as text and converted here, so that an address keeps all its 64 bits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import csv as arrow_csv

from rmapemu.trace.base import Batch, Options, TraceStats, near
from rmapemu.trace.columns import Columns
from rmapemu.trace.source import Source

BLOCK_BYTES = 1 << 22


class CsvReader:
    """A Reader of text with named columns."""

    def sniff(self, head: bytes) -> bool:
        if b"\0" in head:
            return False
        names, *rest = [line for line in head.splitlines()[:2] if line.strip()] or [b""]
        fields = _fields(names)
        if any(near("address", [name]).startswith(" (near") for name in fields):
            return True
        return len(fields) > 1 and bool(rest) and len(_fields(rest[0])) == len(fields)

    def read(self, source: Source, options: Options, stats: TraceStats) -> Iterator[Batch]:
        head = source.head()
        present = _fields(head.split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf"))
        columns = Columns(source, present, options.columns)
        blocks = _blocks(source, list(columns.names.values()), columns)
        for block in blocks:
            for start in range(0, block.num_rows, options.batch):
                yield columns.batch(block.slice(start, options.batch))


def _fields(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8").rstrip("\r\n")]), [])
    except (UnicodeDecodeError, csv.Error):
        return []


def _blocks(source: Source, names: list[str], columns: Columns) -> Iterator[pa.RecordBatch]:
    """The wanted columns as text, block by block."""
    try:
        with arrow_csv.open_csv(
            pa.PythonFile(source.stream, mode="r"),
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            arrow_csv.ParseOptions(newlines_in_values=False),
            arrow_csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string())),
        ) as reader:
            yield from reader
    except (pa.ArrowException, KeyError) as error:
        raise source.error(f"after row {columns.rows}", "rows of comma-separated values", error) from error


CSV = CsvReader()
