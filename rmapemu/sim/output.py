# SPDX-License-Identifier: GPL-2.0-only
"""Files that are written whole or not at all, and a result's time series as an Arrow table.

Models nothing of the kernel. A file is written under a hidden name beside its own and renamed when it is complete.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet as pq

from rmapemu.errors import RmapemuError

if TYPE_CHECKING:
    from rmapemu.sim.result import Result


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`with whole_file(path) as out: out.write(...)`: the file appears when the block ends well, else nothing changes.

    A path that exists and is no regular file (a device, a pipe) is written to as it is. Raises OSError, already when
    the block is entered where the folder is missing or cannot be written to.
    """
    target = Path(os.path.realpath(path))
    part = None
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if target.is_file() or not target.exists():
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
    out = _create(part or target, os.fspath(path))
    try:
        yield out
        out.flush()
        if part is not None:
            os.fsync(out.fileno())
            os.replace(part, target)
        out.close()
    except BaseException as error:
        _drop(out, part)
        # an error of the writing; what the block did besides (a replay out of memory) has a text of its own
        if isinstance(error, OSError) and not isinstance(error, RmapemuError) and error.errno and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        raise


def _create(path: Path, name: str) -> BinaryIO:
    try:
        if path.name.endswith(".part"):
            path.unlink(missing_ok=True)  # left by a process of this number that was killed
        return path.open("wb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


def _drop(out: BinaryIO, part: Path | None) -> None:
    try:
        out.close()
    except OSError:
        out.close()  # what could not be written is dropped by the second close
    if part is not None:
        part.unlink(missing_ok=True)


def series_table(results: Sequence[Result]) -> pa.Table:
    """One row per result and million accesses: columns trace, arch, reclaim, then the series' (uint64).

    The metadata "rmapemu" is a JSON list with everything else of each result.
    """
    tables = []
    for r in results:
        n = len(r.series["accesses"])
        names = {"trace": r.setup.trace, "arch": r.arch, "reclaim": r.reclaim}
        columns: dict[str, Any] = {name: pa.array([text] * n, pa.string()) for name, text in names.items()}
        tables.append(pa.table(columns | {name: pa.array(values) for name, values in r.series.items()}))
    about = json.dumps([r.as_dict(series=False) for r in results])
    return pa.concat_tables(tables).replace_schema_metadata({"rmapemu": about})


def write_parquet_to(out: BinaryIO, table: pa.Table) -> None:
    """Into an open file."""
    pq.write_table(table, out, compression="zstd")


def write_parquet(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Whole or not at all."""
    with whole_file(path) as out:
        write_parquet_to(out, table)
