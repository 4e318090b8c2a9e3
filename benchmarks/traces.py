# SPDX-License-Identifier: GPL-2.0-only
"""The traces that the benchmarks replay: two recorded programs and one synthetic, kept between runs in .cache/bench."""

import random
import shutil
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rmapemu.trace import KIND_WRITE, open_trace
from rmapemu.trace.record import record

CACHE = Path(__file__).parent.parent / ".cache" / "bench"
MOST = 20_000_000
PYDICT = "d = {}\nfor i in range(8000): d[str(i * 7919 % 8009)] = [i]\nprint(sum(len(v) for v in d.values()), sorted(d)[:3])"

Accesses = tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]


def _words(path: Path) -> None:
    g = random.Random(1)
    path.write_text("".join(f"{g.getrandbits(80):020x}\n" for _ in range(40_000)))


def _arrays(path: Path) -> Accesses:
    va, write, n = [], [], 0
    with open_trace(str(path)) as trace:
        for batch in trace:
            va.append(batch.address)
            write.append(batch.kind == KIND_WRITE)
            n += len(batch.address)
            if n >= MOST:
                break
    return np.concatenate(va)[:MOST], np.concatenate(write)[:MOST]


def recorded(name: str) -> Accesses:
    """The first 20 million accesses of `sort` or `pydict`, loads and stores, recorded here with valgrind."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}.parquet"
    if not path.exists():
        words = CACHE / "words.txt"
        _words(words)
        argv = {
            "sort": ["sort", "--parallel=1", "-S", "64M", "-o", str(CACHE / "sorted.txt"), str(words)],
            "pydict": [sys.executable, "-I", "-S", "-c", PYDICT],
        }
        record(str(path), argv[name], instructions=False)
    return _arrays(path)


def zipf(pages: int = 262_144, accesses: int = 5_000_000, alpha: float = 0.9, writes: float = 0.3) -> Accesses:
    """Zipf(alpha) over `pages` pages in random places, a share of writes."""
    g = np.random.default_rng(1)
    weight = np.arange(1, pages + 1, dtype=np.float64) ** -alpha
    edges = np.cumsum(weight) / weight.sum()
    rank = np.minimum(np.searchsorted(edges, g.random(accesses)), pages - 1)
    place = g.permutation(pages)
    return (0x10_0000_0000 + 4096 * place[rank]).astype(np.uint64), g.random(accesses) < writes
