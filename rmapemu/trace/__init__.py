# SPDX-License-Identifier: GPL-2.0-only
"""Readers and writers of memory traces, named ``format:path``.

Models nothing of the kernel: accesses come in as arrays (`open_trace`, `Batch`), become touches of pages (`pages`),
and mappings are inferred where a trace has none (`infer_mappings`). docs/traces.md describes the formats.
"""

from rmapemu.errors import TraceError
from rmapemu.trace.base import KIND_EXEC, KIND_READ, KIND_WRITE, MAX_ACCESS_BYTES, Batch, Options, Reader, TraceStats
from rmapemu.trace.parquet import TraceWriter, write_parquet
from rmapemu.trace.reading import Trace, open_trace
from rmapemu.trace.record import RecordResult, record
from rmapemu.trace.registry import formats
from rmapemu.trace.shipped import demo_trace
from rmapemu.trace.touches import infer_mappings, pages

__all__ = [
    "KIND_EXEC",
    "KIND_READ",
    "KIND_WRITE",
    "MAX_ACCESS_BYTES",
    "Batch",
    "Options",
    "Reader",
    "RecordResult",
    "Trace",
    "TraceError",
    "TraceStats",
    "TraceWriter",
    "demo_trace",
    "formats",
    "infer_mappings",
    "open_trace",
    "pages",
    "record",
    "write_parquet",
]
