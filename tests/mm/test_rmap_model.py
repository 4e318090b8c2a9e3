# SPDX-License-Identifier: GPL-2.0-only
"""The reverse map agrees with a model in plain Python: returns, entries, pages, lists, counters and costs, after every call.

``RMAPEMU_SEEDS=100000 pytest tests/mm/test_rmap_model.py`` goes on for longer.
"""
import os

import pytest

from support.bench_world import play

SEEDS = int(os.environ.get("RMAPEMU_SEEDS", "60"))
PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_of_the_reverse_map_agrees_with_the_model(part):
    calls = sum(play(seed, 300) for seed in range(part, SEEDS, PARTS))
    print(f"{calls} calls agreed")
    assert calls > SEEDS // PARTS
