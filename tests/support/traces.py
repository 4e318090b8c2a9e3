# SPDX-License-Identifier: GPL-2.0-only
"""Writers of small traces in every format, kept apart from the readers under test."""

import gzip

import numpy as np
import pyarrow as pa

from rmapemu.trace import KIND_EXEC, KIND_READ, KIND_WRITE, Batch

LETTER = {KIND_READ: " L", KIND_WRITE: " S", KIND_EXEC: "I "}


def make_batch(address, size=None, kind=None, pid=None) -> Batch:
    """A Batch of plain lists."""
    n = len(address)
    return Batch(
        None if pid is None else np.array(pid, np.uint32),
        np.array(address, np.uint64),
        None if size is None else np.array(size, np.uint32),
        np.zeros(n, np.uint8) if kind is None else np.array(kind, np.uint8),
    )


def lackey_text(batch: Batch) -> bytes:
    rows = zip(batch.address.tolist(), batch.size.tolist(), batch.kind.tolist(), strict=True)
    return "".join(f"{LETTER[kind]} {address:08x},{size}\n" for address, size, kind in rows).encode()


def rw_text(batch: Batch) -> bytes:
    rows = zip(batch.address.tolist(), batch.kind.tolist(), strict=True)
    return "".join(f"{address:x} {'RW'[kind]}\n" for address, kind in rows).encode()


def compress(data: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(data)
    if how == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as out:
            out.write(data)
        return sink.getvalue().to_pybytes()
    return data


def joined(trace) -> Batch:
    """All batches of a trace as one."""
    batches = list(trace)
    parts = ([array for array in column if array is not None] for column in zip(*batches, strict=True))
    return Batch(*(np.concatenate(part) if part else None for part in parts))


def same(got: Batch, expected: Batch) -> bool:
    return all(
        (a is None and b is None) or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))
        for a, b in zip(got, expected, strict=True)
    )
