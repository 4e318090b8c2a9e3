# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of host memory per emulated page, and what a machine of a terabyte costs before it is used."""

import subprocess
import sys
import time

import numpy as np
from harness import interleave, report, spread

from rmapemu import Machine

PAGE = 4096
CHILD = """
import sys, time
import rmapemu
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4
rmapemu.Machine(memory="1M").close()
base = resident()
start = time.perf_counter()
m = rmapemu.Machine(memory="1T")
m.spawn("init").mmap(1 << 20)
print(time.perf_counter() - start, resident() - base)
"""


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * PAGE


def bench_bytes_per_resident_page() -> None:
    pages = 1 << 18
    rows = []
    for arch in ("x86_64", "s390"):
        with Machine(arch, memory=(pages + pages // 32) * PAGE, swap="64M") as m:
            init = m.spawn("init")
            small = init.mmap(PAGE)
            init.access(np.array([small.start], dtype=np.uint64), "w")
            fixed = resident()
            va = np.arange(pages, dtype=np.uint64) * np.uint64(PAGE)
            area = init.mmap(pages * PAGE)
            va += np.uint64(area.start)
            before = resident()
            init.access(va, "w")
            rows.append([arch, f"{(resident() - before) / pages:.1f}", "64", f"{fixed >> 20} MiB"])
    report(
        f"host bytes per resident, singly mapped anonymous page ({pages:,} pages; the host's own count)",
        ["arch", "bytes a page", "wanted at most", "process before"],
        rows,
    )


def bench_a_terabyte() -> None:
    seconds, kib = [], []
    for _ in range(7):
        out = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout.split()
        seconds.append(float(out[0]))
        kib.append(float(out[1]))
    report(
        'Machine(memory="1T"), one process, one mapping',
        ["seconds", "wanted", "MB resident", "wanted"],
        [[spread(seconds, digits=3), "< 1", spread(kib, 1024 / 1e6, 1), "< 200"]],
    )


def bench_two_threads() -> None:
    import threading

    from traces import zipf

    import rmapemu

    va, write = zipf(accesses=2_000_000)

    def one() -> None:
        rmapemu.replay(va, write=write, memory=0.1)

    def two() -> float:
        threads = [threading.Thread(target=one) for _ in range(2)]
        start = time.perf_counter()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return time.perf_counter() - start

    timing = interleave({"one": one, "two": two})
    report(
        "two replays on two machines in two threads",
        ["one, s", "two, s", "ratio", "wanted at most"],
        [[spread(timing.seconds["one"]), spread(timing.seconds["two"]), spread(timing.ratios("two", "one")), "1.25"]],
    )
