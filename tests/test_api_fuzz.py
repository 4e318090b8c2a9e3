# SPDX-License-Identifier: GPL-2.0-only
"""Random calls with good and bad arguments on the whole API: documented exceptions come out, and the interpreter lives.

Each seed runs in a process of its own (``support/fuzz.py``). RMAPEMU_FUZZ_CALLS sets the calls per seed, RMAPEMU_FUZZ_SEEDS
the first seed and how many (``100:20``).
"""

import os
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

CALLS = int(os.environ.get("RMAPEMU_FUZZ_CALLS", "2500"))
FIRST, MANY = map(int, os.environ.get("RMAPEMU_FUZZ_SEEDS", "1:4").split(":"))
SCRIPT = Path(__file__).parent / "support/fuzz.py"
SHOWN = 25


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MANY))
@pytest.mark.parametrize("mode", ["plain", "lab", "closed"])
def test_no_call_crashes_and_only_documented_exceptions_come_out(tmp_path, seed, mode):
    log = tmp_path / "calls"
    command = [sys.executable, str(SCRIPT), str(seed), str(CALLS), str(log), mode]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=120 + CALLS / 10)
        ended = f"status {run.returncode}\n{run.stderr[-3000:]}" if run.returncode else ""
    except subprocess.TimeoutExpired:
        ended = "it hangs"
    if ended:
        with log.open() as calls:
            last = "".join(deque(calls, SHOWN))
        pytest.fail(f"seed {seed}, {mode}: {ended}\nthe last calls:\n{last}", pytrace=False)
