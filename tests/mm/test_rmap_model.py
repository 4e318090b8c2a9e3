# SPDX-License-Identifier: GPL-2.0-only
"""The reverse map agrees with a model in plain Python: returns, entries, pages, lists, counters and costs, after every call.

``RMAPEMU_SEEDS=100000 pytest tests/mm/test_rmap_model.py`` goes on for longer; -rP says how many calls there were.
"""
import os

import pytest

from support.bench_calls import play

SEEDS = int(os.environ.get("RMAPEMU_SEEDS", "120"))
PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_of_the_reverse_map_agrees_with_the_model(part):
    played = [play(seed, 300) for seed in range(part, SEEDS, PARTS)]
    calls, bugs, blocked = (sum(column) for column in zip(*played, strict=True))
    print(f"{calls} calls agreed, {bugs} of them to a BUG and {blocked} to a lock that someone else holds")
    assert calls > 100 * len(played)
    assert 0 < bugs + blocked < calls // 3
