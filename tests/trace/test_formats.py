# SPDX-License-Identifier: GPL-2.0-only
"""Arrays, npy, csv and Parquet give back what was written; what is wrong with them is said in one line."""

import io
import os
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from rmapemu.errors import TraceError
from rmapemu.trace import open_trace, write_parquet
from support.traces import compress, joined, make_batch, same

U64 = st.integers(0, 2**64 - 1)
READS_WRITES = np.array([0, 1, 1, 0], np.uint8)


def npy_bytes(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def rows_of(*names, limit=50):
    columns = {"address": U64, "size": st.integers(1, 1 << 20), "kind": st.integers(0, 2), "pid": st.integers(0, 9)}
    return st.lists(st.tuples(*(columns[name] for name in names)), min_size=1, max_size=limit)


def batch_of(rows, *names):
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    if "size" in columns:
        columns["size"] = [min(s, 2**64 - a) for s, a in zip(columns["size"], columns["address"], strict=True)]
    return make_batch(**columns)


@given(st.lists(st.tuples(U64, st.booleans()), min_size=1, max_size=50), st.integers(1, 60))
def test_an_array_of_addresses_comes_out_in_batches(rows, most):
    address, write = np.array([a for a, _ in rows], np.uint64), np.array([w for _, w in rows])
    trace = open_trace(address, write=write, batch=most)
    assert trace.format == "array" and trace.bytes_total == 8 * len(rows)
    assert same(joined(trace), make_batch(address, kind=write.astype(np.uint8)))


def test_an_array_reads_unless_it_is_said_to_write():
    address = np.array([1, 2], np.uint64)
    assert joined(open_trace(address)).kind.tolist() == [0, 0]
    assert joined(open_trace(address, write=True)).kind.tolist() == [1, 1]


def test_an_array_is_not_copied():
    address = np.arange(10, dtype=np.uint64)
    assert np.shares_memory(next(open_trace(address)).address, address)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, bool, object, "S4", "datetime64[s]"])
def test_an_array_of_another_dtype_is_a_type_error(dtype):
    with pytest.raises(TypeError, match="uint64"):
        open_trace(np.zeros(3, dtype))


def test_arrays_of_another_shape_are_value_errors():
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        open_trace(np.zeros((2, 2), np.uint64))
    with pytest.raises(ValueError, match="expected 2 values"):
        open_trace(np.zeros(2, np.uint64), write=np.zeros(3, bool))
    with pytest.raises(TypeError, match="bool"):
        open_trace(np.zeros(2, np.uint64), write=[True, False])


@pytest.mark.parametrize("dtype", ["<u8", ">u8", "<u4", "u1"])
@pytest.mark.parametrize("how", ["plain", "gz", "zst"])
def test_npy_files_of_any_unsigned_dtype_are_read(put, dtype, how):
    path = put("a.npy", compress(npy_bytes(np.array([1, 2, 250], dtype)), how))
    trace = open_trace(path, batch=2)
    assert trace.format == "npy" and joined(trace).address.tolist() == [1, 2, 250]


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros(3, np.int64), np.zeros((2, 2), np.uint64), np.zeros(3, object), np.uint64(3)])
def test_npy_files_of_something_else_are_refused(put, array):
    with pytest.raises(TraceError, match=r"a.npy: header: expected one array of unsigned integers in one dimension, found \w+, shape"):
        list(open_trace(put("a.npy", npy_bytes(array))))


NO_HEADERS = [b"{'descr': '<u8', (", b"garbage!!!", b"'''", b"[1, 2]", b"\x80", b"9" * 117,
              b"{'descr': 'no', 'fortran_order': True, 'shape': (3,)}"]


@pytest.mark.parametrize("header", NO_HEADERS)
def test_npy_files_whose_header_describes_no_array_are_refused(put, header):
    whole = npy_bytes(np.arange(3, dtype=np.uint64))
    path = put("a.npy", whole[:10] + header.ljust(117) + b"\n" + whole[128:])
    with pytest.raises(TraceError, match=r"a.npy: header: expected a .npy file with one array of unsigned integers"):
        list(open_trace(path))


def test_a_npy_header_with_fewer_than_no_addresses_is_refused(put):
    whole = npy_bytes(np.arange(300, dtype=np.uint64))
    with pytest.raises(TraceError, match=r"a.npy: header: expected one array of unsigned integers .*shape \(-30,\)"):
        list(open_trace(put("a.npy", whole.replace(b"(300,)", b"(-30,)"))))


def test_a_npy_header_that_says_it_is_gigabytes_long_takes_no_more_memory_than_there_is_file(put):
    path = put("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1000))
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=r"a.npy: header: expected .*EOF"):
            list(open_trace(path))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_npy_file_cut_short_says_how_far_it_came(put):
    path = put("a.npy", npy_bytes(np.arange(100, dtype=np.uint64))[:-400])
    with pytest.raises(TraceError, match="expected 100 addresses, found 50"):
        list(open_trace(path, batch=7))


@given(rows_of("address", "size", "kind", "pid"), st.integers(1, 60), st.sampled_from(["d", "#x"]))
def test_csv_round_trips_with_decimal_and_hexadecimal_addresses(rows, most, style):
    batch = batch_of(rows, "address", "size", "kind", "pid")
    lines = ["pid,kind,comment,address,size"]
    for a, s, k, p in zip(batch.address.tolist(), batch.size.tolist(), batch.kind.tolist(), batch.pid.tolist(), strict=True):
        lines.append(f'{p},{["R", "write", 2][k]},"a, b",{a:{style}},{s}')
    trace = open_trace(io.BytesIO("\n".join(lines).encode()), batch=most)
    assert same(joined(trace), batch) and trace.format == "csv"


def test_csv_columns_can_be_named_and_be_bare_hexadecimal(put):
    path = put("t.csv", b"time,va,op\n1,7fff,R\n2,10,W\n")
    got = joined(open_trace("csv:" + path, columns={"address": "va:hex", "kind": "op"}))
    assert got.address.tolist() == [0x7FFF, 0x10] and got.kind.tolist() == [0, 1] and got.size is None


@pytest.mark.parametrize("how", ["gz", "zst"])
def test_csv_may_be_compressed(put, how):
    assert joined(open_trace(put("t", compress(b"address\n1\n0x10\n", how)))).address.tolist() == [1, 16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"adress,size\n1,2\n", r"columns: expected one called 'address' \(near: adress\), or .*address=NAME.*, found none"),
        (b"address,address\n1,2\n", "one called 'address', found several"),
        (b"address,size\n1,2\n-4,1\n", r"row 2, column 'address': expected a number from 0 to 2\*\*64 - 1.*found '-4'"),
        (b"address,size\n1,2\n7fff,1\n", "row 2, column 'address'"),
        (b"address,size\n1,2\n0x1ffffffffffffffff,1\n", "row 2, column 'address'"),
        (b"address,size\n1,2\n18446744073709551616,1\n", "row 2, column 'address'"),
        (b"address,size\n1,0\n", "access 1: expected a size from 1"),
        (b"address,size\n1,99999999999\n", "row 1, column 'size'"),
        (b"address,size\n18446744073709551615,2\n", r"below 2\*\*64"),
        (b"address,kind\n1,2\n1,banana\n", "row 2, column 'kind'.*found 'banana'"),
        (b"address,kind\n1,2\n1\n", "expected rows of comma-separated values.*row #3"),
        (b"address,kind\n1,2\n1,\xff\xfe\n", "comma-separated"),
        (b"address,kind\n", "no accesses"),
    ],
)
def test_a_wrong_csv_is_named_by_row_and_column(put, text, message):
    with pytest.raises(TraceError, match=f"(?i)t.csv: .*{message}") as error:
        list(open_trace("csv:" + put("t.csv", text)))
    assert "\n" not in str(error.value)


def test_columns_are_named_by_text(put):
    path = put("t.csv", b"address\n1\n")
    for columns in ({"address": 5}, {5: "address"}):
        with pytest.raises(TypeError, match="columns: expected names"):
            list(open_trace(f"csv:{path}", columns=columns))


@pytest.mark.parametrize("source", ["csv", "demo"])
def test_an_unknown_column_of_ours_is_named_with_the_near_ones_whatever_the_format(put, source):
    if source == "csv":
        source = "csv:" + put("t.csv", b"a\n1\n")
    with pytest.raises(ValueError, match=r"^columns: no column of ours is called 'adress' \(near: address\)$"):
        open_trace(source, columns={"adress": "a"})


@given(rows_of("address", "size", "kind", "pid"), st.integers(1, 60), st.booleans(), st.booleans())
def test_parquet_round_trips_with_and_without_sizes_and_pids(tmp_path_factory, rows, most, sized, pids):
    batch = batch_of(rows, "address", "size", "kind", "pid")
    batch = batch._replace(size=batch.size if sized else None, pid=batch.pid if pids else None)
    path = str(tmp_path_factory.mktemp("p") / "t.parquet")
    parts = [type(batch)(*(None if a is None else a[i : i + 7] for a in batch)) for i in range(0, batch.accesses, 7)]
    assert write_parquet(path, parts) == batch.accesses
    trace = open_trace(path, batch=most)
    assert same(joined(trace), batch)
    assert trace.format == "parquet" and trace.bytes_read == trace.bytes_total == os.path.getsize(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"adress": pa.array([1], pa.uint64())}, r"'address' \(near: adress\)"),
        ({"address": pa.array([1.5])}, "column 'address': expected integers, found double"),
        ({"address": pa.array([1, -1])}, "row 2, column 'address'.*found -1"),
        ({"address": pa.array([1, None])}, "row 2, column 'address'.*found nothing"),
        ({"address": pa.array([1]), "kind": pa.array([3])}, "access 1: expected a kind"),
        ({"address": pa.array([1]), "kind": pa.array([300])}, "row 1, column 'kind'"),
        ({"address": pa.array([1]), "size": pa.array([2**40])}, "row 1, column 'size'"),
        ({"address": pa.array([], pa.uint64())}, "no accesses"),
    ],
)
def test_a_foreign_parquet_file_is_checked_row_by_row(tmp_path, columns, message):
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table(columns), path)
    with pytest.raises(TraceError, match=message):
        list(open_trace(path))


def test_a_foreign_parquet_file_may_name_its_columns_and_kinds(tmp_path):
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"va": ["0x10", "17"], "op": pa.array(["R", "W"]).dictionary_encode()}), path)
    got = joined(open_trace(path, columns={"address": "va", "kind": "op"}))
    assert got.address.tolist() == [16, 17] and got.kind.tolist() == [0, 1]


def test_parquet_cannot_come_through_a_pipe(put):
    path = put("t.parquet", b"PAR1" + bytes(100))
    with open(path, "rb") as file, pytest.raises(TraceError, match="plain file"):
        list(open_trace(("parquet", io.BufferedReader(Pipe(file.read())))))


class Pipe(io.RawIOBase):
    """A file that cannot seek."""

    def __init__(self, data):
        self.data = data

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.data[: len(buffer)]
        self.data = self.data[len(part) :]
        buffer[: len(part)] = part
        return len(part)
