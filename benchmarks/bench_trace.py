# SPDX-License-Identifier: GPL-2.0-only
"""Lackey's text to arrays on one thread, against polars on the same file: at least five times as fast."""
import os
from pathlib import Path

import numpy as np
import pytest
from harness import interleave, report, spread

from rmapemu.trace import demo_trace, open_trace, pages

os.environ["POLARS_MAX_THREADS"] = "1"  # read when it is imported
pl = pytest.importorskip("polars")

BAR = 5.0
LINES = 3_000_000
PREFIX = [" L ", " S ", "I  "]


def generate(path: Path) -> None:
    """The shipped trace's loads and stores as lackey prints them, an instruction fetch before every second one."""
    lines = []
    with open_trace(demo_trace()) as trace:
        for batch in trace:
            for address, size, kind in zip(batch.address.tolist(), batch.size.tolist(), batch.kind.tolist(), strict=True):
                if address & 8:
                    lines.append(f"I  {0x10A000 + (address * 31 & 0x1FFFF):08x},{1 + address % 7}\n")
                lines.append(f"{PREFIX[kind]}{address:08x},{size}\n")
            if len(lines) >= LINES:
                break
    path.write_text("".join(["==1== Lackey, an example Valgrind tool\n", *lines[:LINES]]))


def ours(path: Path) -> tuple[np.ndarray, ...]:
    address, size, kind = [], [], []
    with open_trace(f"lackey:{path}") as trace:
        for batch in trace:
            address.append(batch.address)
            size.append(batch.size)
            kind.append(batch.kind)
    return np.concatenate(address), np.concatenate(size), np.concatenate(kind)


def polars(path: Path) -> tuple[np.ndarray, ...]:
    """The quickest way that we know: two columns of text, cut at fixed places, converted by polars itself."""
    text = pl.read_csv(
        path, has_header=False, separator=",", comment_prefix="==", quote_char=None,
        schema={"access": pl.String, "size": pl.UInt32},
    )
    out = text.select(
        pl.col("access").str.slice(3).str.to_integer(base=16, dtype=pl.UInt64).alias("address"),
        "size",
        pl.col("access").str.slice(0, 2).replace_strict({" L": 0, " S": 1, " M": 1, "I ": 2}, return_dtype=pl.UInt8).alias("kind"),
    )
    return out["address"].to_numpy(), out["size"].to_numpy(), out["kind"].to_numpy()


def bench_lackey_text_against_polars(tmp_path: Path) -> None:
    path = tmp_path / "lackey.txt"
    generate(path)
    for a, b in zip(ours(path), polars(path), strict=True):
        assert np.array_equal(a, b)
    timing = interleave({"rmapemu": lambda: bool(ours(path)) and None, "polars": lambda: bool(polars(path)) and None})
    megabytes = path.stat().st_size / 1e6
    rows = [[name, spread([megabytes / s for s in took], digits=0)] for name, took in timing.seconds.items()]
    ratios = timing.ratios("polars", "rmapemu")
    report("lackey text to arrays, one thread", ["reader", "MB/s"], [*rows, ["polars' time / ours", spread(ratios)]])
    assert float(np.median(ratios)) >= BAR


def bench_other_readers_and_pages() -> None:
    """Parquet to arrays and accesses to pages: no bar, for the record."""
    def parquet() -> None:
        for _ in open_trace("demo"):
            continue

    with open_trace("demo") as trace:
        batches = list(trace)
    count = sum(batch.accesses for batch in batches)

    def split() -> None:
        for batch in batches:
            pages(batch, 12)

    timing = interleave({"parquet to arrays": parquet, "accesses to pages": split})
    report("ns per access", ["what", "ns"], [[name, spread([s / count for s in took], 1e9, 1)] for name, took in timing.seconds.items()])
