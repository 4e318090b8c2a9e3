# SPDX-License-Identifier: GPL-2.0-only
"""Replay against libcachesim's Clock at its own best hash size: same trace, same share of memory, interleaved rounds.

Clock reads one page per miss, so the comparison is made with page-cluster 0 (no swap readahead); v3.2's default stands beside it.
"""

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from harness import interleave, report, spread
from traces import Accesses, recorded, zipf

import rmapemu

lcs = pytest.importorskip("libcachesim")
BARS = {"sort": {"x86_64": 10.0, "s390": 6.0}, "pydict": {"x86_64": 8.0, "s390": 5.0}, "zipf": {"x86_64": 1.0, "s390": 0.8}}
SHARE = 0.1


def oracle_general(va: np.ndarray, path: Path) -> None:
    """libcachesim's own binary format: time, object, size, next access."""
    out = np.zeros(len(va), dtype=[("time", "<u4"), ("obj", "<u8"), ("size", "<u4"), ("next", "<i8")])
    out["time"] = np.arange(len(va)) // 1000
    out["obj"] = va >> np.uint64(12)
    out["size"] = 1
    out["next"] = -2
    out.tofile(path)


def clock(path: Path, pages: int, hashpower: int) -> float:
    """Seconds per run: libcachesim reads the trace and simulates, in C."""
    reader = lcs.TraceReader(
        trace=str(path), trace_type=lcs.TraceType.ORACLE_GENERAL_TRACE, reader_init_params=lcs.ReaderInitParam(ignore_obj_size=True)
    )
    cache = lcs.Clock(cache_size=pages, hashpower=hashpower)
    cache.process_trace(reader)
    return 0.0


def best_hash(path: Path, pages: int) -> int:
    took = {}
    for power in range(8, 25, 2):
        start = time.perf_counter()
        clock(path, pages, power)
        took[power] = time.perf_counter() - start
    return min(took, key=lambda k: took[k])


def replay(trace: Accesses, arch: str, page_cluster: int) -> float:
    va, write = trace
    sysctl = {"page-cluster": page_cluster}
    return rmapemu.replay(va, write=write, memory=SHARE, arch=arch, sysctl=sysctl).replay_seconds


@pytest.mark.parametrize("name", list(BARS))
def bench_replay_against_clock(name: str) -> None:
    trace = zipf() if name == "zipf" else recorded(name)
    va, _ = trace
    pages = max(1, int(len(np.unique(va >> np.uint64(12))) * SHARE))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path = Path(folder) / "trace.oracleGeneral.bin"
        oracle_general(va, path)
        power = best_hash(path, pages)

        def theirs() -> None:
            clock(path, pages, power)

        timing = interleave(
            {"Clock": theirs}
            | {f"{arch}, page-cluster {cluster}": partial(replay, trace, arch, cluster) for arch in BARS[name] for cluster in (0, 3)}
        )
    rows = [
        [
            who,
            spread(timing.seconds["Clock"], 1e9 / len(va)),
            spread(timing.seconds[who], 1e9 / len(va)),
            spread(timing.ratios("Clock", who)) + "x",
            f"{BARS[name][who.split(',')[0]]}x" if who.endswith("0") else "",
        ]
        for who in list(timing.seconds)[1:]
    ]
    report(
        f"replay of {name}: {len(va):,} accesses, {pages:,} pages of memory, libcachesim Clock with 2^{power} hash slots",
        ["rmapemu", "Clock, ns an access", "rmapemu, ns an access", "ratio", "wanted at least"],
        rows,
    )
