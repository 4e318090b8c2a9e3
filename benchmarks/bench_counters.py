# SPDX-License-Identifier: GPL-2.0-only
"""What the counters and checks that are always on cost: the same operations in a build without them (.ci/uncounted.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path

from harness import ROUNDS, report, spread

TOP = Path(__file__).parent.parent
BUILDS = {"counted": TOP, "uncounted": TOP / "build/uncounted"}


def one_round(build: Path) -> dict[str, float]:
    """Operation -> seconds, in a process of its own."""
    script = str(Path(__file__).with_name("counted.py"))
    env = os.environ | {"PYTHONPATH": str(build)}
    out = subprocess.run([sys.executable, script], cwd=build, env=env, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(out)
    return result


def bench_counters_and_checks() -> None:
    subprocess.run([sys.executable, ".ci/uncounted.py"], cwd=TOP, check=True)
    rounds = [{name: one_round(build) for name, build in BUILDS.items()} for _ in range(ROUNDS + 1)][1:]
    rows = []
    for operation in rounds[0]["counted"]:
        counted, uncounted = ([r[name][operation] for r in rounds] for name in BUILDS)
        ratios = [a / b for a, b in zip(counted, uncounted, strict=True)]
        rows.append([operation, spread(uncounted, 1e9), spread(counted, 1e9), spread(ratios), "1.1"])
    report(
        "with counters, BUG_ON, the check of lock order and the note of what is held, and without, ns",
        ["operation", "without", "as it is", "ratio", "wanted at most"],
        rows,
    )
