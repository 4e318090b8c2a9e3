# SPDX-License-Identifier: GPL-2.0-only
"""The trace that ships with the project, and how to record it again: `python -m rmapemu.trace.demo OUT.parquet`.

Models nothing of the kernel. It is GNU sort on 8000 shuffled lines of text, its loads and stores: docs/recording.md.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rmapemu.trace.base import Batch
from rmapemu.trace.parquet import write_parquet
from rmapemu.trace.reading import open_trace
from rmapemu.trace.record import record

LINES = 8000
WORDS = 2000
SEED = 5
LEVEL = 19  # of zstd: a fifth smaller than level 3
COMMAND = ("sort", "--parallel=1", "--buffer-size=8M", "--output=sorted.txt", "lines.txt")
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


def demo_text(lines: int = LINES) -> str:
    """The text that is sorted: `lines` lines of 50 to 89 made-up words, the same on every machine."""
    draw = random.Random(SEED).random  # random() is the one method whose sequence Python promises to keep

    def below(limit: int) -> int:
        return int(draw() * limit)

    def word() -> str:
        return "".join(chr(97 + below(26)) for _ in range(2 + below(8)))

    words = [word() for _ in range(WORDS)]
    return "".join(" ".join(words[below(WORDS)] for _ in range(50 + below(40))) + "\n" for _ in range(lines))


def record_demo(output: str, lines: int = LINES) -> int:
    """Record the trace anew; the number of accesses. Needs valgrind; takes half a minute. Raises as `record` does."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "lines.txt").write_text(demo_text(lines))
        recorded = f"{folder}/recorded.parquet"
        record(recorded, COMMAND, instructions=False, cwd=folder, env=ENVIRONMENT)
        with open_trace(recorded) as trace:
            return write_parquet(output, _as_process_one(trace), metadata={"command": " ".join(COMMAND)}, level=LEVEL)


def _as_process_one(batches: Iterator[Batch]) -> Iterator[Batch]:
    """With a pid that does not depend on the day."""
    for batch in batches:
        yield batch._replace(pid=np.ones(batch.accesses, np.uint32))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m rmapemu.trace.demo OUT.parquet")
    try:
        print(f"{record_demo(sys.argv[1])} accesses")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
