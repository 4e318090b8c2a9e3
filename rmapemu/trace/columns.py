# SPDX-License-Identifier: GPL-2.0-only
"""Formats with named columns: `csv:` and Parquet. Which columns, their conversion, what may be wrong with them.

Models nothing of the kernel. Columns: address, and where the file has them size (bytes), kind and pid. A kind is
0, 1, 2, or a letter or word for it; addresses in text are decimal, `0x...`, or bare hexadecimal where that is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from rmapemu.trace._text import parse_numbers
from rmapemu.trace.base import KIND_EXEC, KIND_READ, KIND_WRITE, Batch, check_values, near
from rmapemu.trace.source import Source

DTYPES = {"pid": np.uint32, "address": np.uint64, "size": np.uint32, "kind": np.uint8}

KIND_WORDS = {
    **dict.fromkeys(("0", "r", "l", "read", "load", "false"), KIND_READ),
    **dict.fromkeys(("1", "w", "s", "m", "write", "store", "modify", "true"), KIND_WRITE),
    **dict.fromkeys(("2", "x", "i", "e", "exec", "execute", "fetch", "ifetch", "instruction"), KIND_EXEC),
}
"""Words for a kind of access in a text column, in any case."""

KIND_VARIETY = 1 << 10  # distinct spellings of a kind in one block, before it is called no column of kinds


def check_names(wanted: Mapping[str, str]) -> None:
    """Raise TypeError or ValueError for a key that is none of our columns, or a value that can be no column's name."""
    for ours, theirs in wanted.items():
        if not isinstance(ours, str) or not isinstance(theirs, str):
            raise TypeError(f"columns: expected names, such as {{'address': 'va'}}, found {{{ours!r}: {theirs!r}}}")
        if ours not in DTYPES:
            raise ValueError(f"columns: no column of ours is called {ours!r}{near(ours, DTYPES)}")


class Columns:
    """Our columns in one file: `names[ours]` is the file's column, for those that it has; `hex` those in bare hex."""

    def __init__(self, source: Source, present: Sequence[str], wanted: Mapping[str, str] | None):
        self.source = source
        self.names: dict[str, str] = {}
        self.hex: set[str] = set()
        self.rows = 0
        given = dict(wanted or {})
        for ours in DTYPES:
            theirs = given.get(ours, ours)
            if theirs not in present and theirs.endswith(":hex"):
                theirs = theirs.removesuffix(":hex")
                self.hex.add(ours)
            if theirs in present:
                self.names[ours] = theirs
            elif ours in given or ours == "address":
                hint = "" if ours in given else ", or to be told what it is called (address=NAME)"
                raise source.error("columns", f"one called {theirs!r}{near(theirs, present)}{hint}", "none")
            if list(present).count(theirs) > 1:
                raise source.error("columns", f"one called {theirs!r}", "several")

    def batch(self, block: pa.RecordBatch) -> Batch:
        """A block of the file as a Batch; TraceError with the row where a value cannot be one of ours."""
        arrays = {ours: self._convert(ours, block.column(theirs)) for ours, theirs in self.names.items()}
        address = arrays["address"]
        kind = arrays.get("kind")
        if kind is None:
            kind = np.zeros(len(address), np.uint8)
        batch = Batch(arrays.get("pid"), address, arrays.get("size"), kind)
        check_values(batch, self.source.name, self.rows)
        self.rows += len(address)
        return batch

    def _convert(self, ours: str, values: pa.Array) -> np.ndarray:
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if values.null_count:
            row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
            raise self._error(row, ours, _expected(ours), "nothing")
        text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if text and ours == "kind":
            return self._kinds(values)
        if text:
            numbers = self._parse(ours, values.cast(pa.string()))
        elif pa.types.is_integer(values.type) or (ours == "kind" and pa.types.is_boolean(values.type)):
            numbers = values.to_numpy(zero_copy_only=False)
        else:
            raise self.source.error(f"column {self.names[ours]!r}", "integers", values.type)
        return self._narrow(ours, np.ascontiguousarray(numbers))

    def _parse(self, ours: str, values: pa.StringArray) -> np.ndarray:
        out = np.empty(len(values), np.uint64)
        if not len(values):
            return out
        _validity, offsets, data = values.buffers()
        text = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
        where = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        wrong = parse_numbers(text, where, ours in self.hex, out)
        if wrong >= 0:
            raise self._error(wrong, ours, _expected(ours), repr(values[wrong].as_py())[:60])
        return out

    def _kinds(self, values: pa.Array) -> np.ndarray:
        coded = values.dictionary_encode()
        spelled = coded.dictionary.to_pylist() if len(coded.dictionary) <= KIND_VARIETY else []
        codes = [KIND_WORDS.get(word.strip().lower(), 255) for word in spelled] or [255]
        lookup = np.array(codes, np.uint8)
        kinds = lookup[coded.indices.to_numpy()] if spelled else np.full(len(values), 255, np.uint8)
        if (kinds == 255).any():
            row = int(np.argmax(kinds == 255))
            raise self._error(row, "kind", _expected("kind"), repr(values[row].as_py())[:60])
        return kinds

    def _narrow(self, ours: str, numbers: np.ndarray) -> np.ndarray:
        dtype = np.dtype(DTYPES[ours])
        if numbers.dtype.kind == "i":
            self._refuse(numbers < 0, numbers, ours)
        if numbers.dtype.itemsize > dtype.itemsize:
            self._refuse(numbers > (1 << 8 * dtype.itemsize) - 1, numbers, ours)
        return numbers.astype(dtype, copy=False)

    def _refuse(self, wrong: np.ndarray, numbers: np.ndarray, ours: str) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            raise self._error(row, ours, _expected(ours), numbers[row])

    def _error(self, row: int, ours: str, expected: str, found: object) -> Exception:
        return self.source.error(f"row {self.rows + row + 1}, column {self.names[ours]!r}", expected, found)


def _expected(ours: str) -> str:
    if ours == "kind":
        return "a kind of access (0 R read, 1 W write, 2 X exec)"
    bits = np.dtype(DTYPES[ours]).itemsize * 8
    how = ", decimal or 0x... (bare hexadecimal: name the column NAME:hex)" if ours == "address" else ""
    return f"a number from 0 to 2**{bits} - 1{how}"
