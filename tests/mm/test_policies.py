# SPDX-License-Identifier: GPL-2.0-only
"""The plug-in policies fault exactly as often as the textbook algorithms, here in a few lines of Python each."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu import Machine, replay


def lru(trace, frames):
    cache, faults = OrderedDict(), 0
    for page in trace:
        if page in cache:
            cache.move_to_end(page)
            continue
        faults += 1
        if len(cache) == frames:
            cache.popitem(last=False)
        cache[page] = True
    return faults


def fifo(trace, frames):
    cache, faults = OrderedDict(), 0
    for page in trace:
        if page not in cache:
            faults += 1
            if len(cache) == frames:
                cache.popitem(last=False)
            cache[page] = True
    return faults


def clock(trace, frames):
    ring, faults = OrderedDict(), 0  # page -> referenced, the hand at the first
    for page in trace:
        if page not in ring:
            faults += 1
            while len(ring) == frames:
                oldest, referenced = ring.popitem(last=False)
                if referenced:
                    ring[oldest] = False
        ring[page] = True
    return faults


def next_uses(trace):
    later, result = {}, np.full(len(trace), len(trace), dtype=np.uint64)
    for i in range(len(trace) - 1, -1, -1):
        result[i] = later.get(trace[i], len(trace))
        later[trace[i]] = i
    return result


def opt(trace, frames):
    future, cache, faults = next_uses(trace), {}, 0
    for i, page in enumerate(trace):
        if page not in cache:
            faults += 1
            if len(cache) == frames:
                del cache[max(cache, key=lambda p: cache[p])]
        cache[page] = int(future[i])
    return faults


MODELS = {"lru": lru, "fifo": fifo, "clock": clock, "opt": opt}


def faults_of(arch, policy, trace, frames, seed=0):
    """Of stores to private memory: each touch of a page that is away is a fault, and there are no others."""
    if policy == "opt":
        addresses = 4096 * np.array(trace, dtype=np.uint64) + (1 << 32)
        return replay(addresses, write=True, frames=frames, arch=arch, reclaim=policy, swap=1 << 22).faults
    with Machine(arch, frames=frames, swap=1 << 22, reclaim=policy, seed=seed) as m:
        init = m.spawn()
        heap = init.mmap((max(trace) + 1) * m.page_size)
        init.access(heap.start + m.page_size * np.array(trace, dtype=np.uint64), "w")
        assert m.vmstat["nr_anon_pages"] == min(frames, len(set(trace)))
        return m.vmstat["pgfault"]


@pytest.mark.parametrize("policy", sorted(MODELS))
@given(trace=st.lists(st.integers(0, 12), min_size=1, max_size=120), frames=st.integers(1, 8))
def test_any_short_trace_faults_as_often_as_the_textbook_says(policy, trace, frames):
    assert faults_of("x86_64", policy, trace, frames) == MODELS[policy](trace, frames)


@pytest.mark.parametrize("policy", sorted(MODELS))
@pytest.mark.parametrize("frames", [3, 50, 300])
def test_a_skewed_trace_faults_as_often_as_the_textbook_says(arch, policy, frames):
    rng = np.random.default_rng(frames)
    trace = np.minimum(rng.zipf(1.2, 6000) - 1, 700).tolist()
    assert faults_of(arch, policy, trace, frames) == MODELS[policy](trace, frames)


def test_lots_fall_by_the_seed_alone(arch):
    rng = np.random.default_rng(1)
    trace = rng.integers(0, 200, 4000).tolist()
    first = faults_of(arch, "random", trace, 50, seed=1)
    assert first == faults_of(arch, "random", trace, 50, seed=1)
    assert {faults_of(arch, "random", trace, 50, seed=s) for s in range(2, 6)} != {first}
    # three of four pages are away at any time
    assert 0.70 < first / len(trace) < 0.80


def test_v32_evicts_one_page_at_a_time_too(arch):
    trace = np.random.default_rng(2).integers(0, 100, 3000).tolist()
    with Machine(arch, frames=60, swap=1 << 22) as m:
        init = m.spawn()
        heap = init.mmap(100 * m.page_size)
        for page in trace:
            init.write(heap.start + page * m.page_size)
            assert m.vmstat["nr_anon_pages"] <= 60
        faults = m.vmstat["pgfault"]
        assert m.vmstat["pgsteal_normal"] == faults - 60
        m.check()
    assert opt(trace, 60) <= faults < len(trace)


@pytest.mark.parametrize("policy", ["lru", "fifo", "clock", "random"])
def test_a_policy_also_serves_a_machine_with_watermarks(arch, policy):
    with Machine(arch, memory="2M", swap="16M", reclaim=policy) as m:
        init = m.spawn()
        heap = init.mmap("8M")
        rng = np.random.default_rng(3)
        init.access(heap.start + m.page_size * rng.integers(0, 2048, 20000).astype(np.uint64), rng.integers(0, 2, 20000).astype(np.uint8))
        v = m.vmstat
        assert v["pgsteal_normal"] == v["kswapd_steal"] > 1000
        m.check()
        init.exit()
        m.check()
