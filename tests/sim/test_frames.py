# SPDX-License-Identifier: GPL-2.0-only
"""With frames=, policies fault exactly as often as the textbook says."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rmapemu
from support.caches import MODELS

BASE = 0x40_0000
TRACES = st.lists(st.integers(0, 24), min_size=1, max_size=400)


def addresses(pages):
    return BASE + 4096 * np.asarray(pages, np.uint64)


def skewed(pages, accesses, seed):
    """A page trace with a hot part and runs, so that the policies differ."""
    g = np.random.default_rng(seed)
    hot = g.zipf(1.3, accesses) % pages
    runs = (np.arange(accesses) // 3 + g.integers(0, pages)) % pages
    return np.where(g.random(accesses) < 0.7, hot, runs).astype(np.uint64)


@pytest.mark.parametrize("policy", list(MODELS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=TRACES, frames=st.integers(1, 12), writes=st.integers(0, 2**32))
def test_a_policy_faults_exactly_as_often_as_its_algorithm_must(arch, policy, pages, frames, writes):
    write = np.random.default_rng(writes).random(len(pages)) < 0.4
    result = rmapemu.replay(addresses(pages), write=write, frames=frames, arch=arch, reclaim=policy)
    assert result.faults == MODELS[policy](pages, frames)
    assert result.derived["evictions"] == max(0, result.faults - frames)
    assert result.peak_rss_pages == min(frames, len(set(pages)))


@pytest.mark.parametrize("policy", list(MODELS))
@pytest.mark.parametrize("frames", [1, 50, 300, 999, 1000])
def test_a_policy_is_exact_on_a_long_trace_too(arch, policy, frames):
    pages = skewed(1000, 20_000, seed=frames)
    if policy == "opt" and frames > 100:
        pages = pages[:4000]  # the model looks through all of its pages at each fault
    result = rmapemu.replay(addresses(pages), write=pages % 3 == 0, frames=frames, arch=arch, reclaim=policy)
    assert result.faults == MODELS[policy](pages.tolist(), frames)


def test_random_eviction_depends_on_its_seed_alone(arch):
    va = addresses(skewed(200, 5000, seed=1))
    runs = [rmapemu.replay(va, frames=50, arch=arch, reclaim="random", seed=seed).series["faults"] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert 50 < runs[0][0] < 5000


def test_v3_2_evicts_one_page_at_a_time_and_never_holds_more_than_its_frames(arch):
    va = addresses(skewed(200, 5000, seed=2))
    result = rmapemu.replay(va, write=True, frames=50, arch=arch)
    assert result.peak_rss_pages == 50
    assert result.faults - 50 == result.derived["evictions"]


def test_a_first_read_takes_a_frame_of_its_own(arch):
    result = rmapemu.replay(addresses(range(20)), frames=30, arch=arch)
    assert (result.faults, result.write_upgrades, result.peak_rss_pages) == (20, 0, 20)


def test_a_store_to_a_page_swapped_in_for_reading_is_an_upgrade_and_no_fault(arch):
    write = np.array([True, True, False, True])
    result = rmapemu.replay(addresses([1, 2, 1, 1]), write=write, frames=1, arch=arch, reclaim="lru")
    assert (result.faults, result.write_upgrades) == (3, 1)
    assert result.vmstat["pgfault"] == 4


def test_page_tables_do_not_take_the_traces_frames(arch):
    far_apart = (np.arange(64, dtype=np.uint64) << np.uint64(30)) + np.uint64(BASE)
    result = rmapemu.replay(np.tile(far_apart, 3), write=True, frames=64, arch=arch)
    assert result.faults == 64
    assert result.vmstat["nr_page_table_pages"] > 64


def test_libcachesim_counts_the_same_faults_on_the_recorded_trace(arch, tmp_path):
    lcs = pytest.importorskip("libcachesim")
    va = _recorded(300_000)
    page = va >> np.uint64(12)
    frames = len(np.unique(page)) // 10
    path = tmp_path / "trace.oracleGeneral.bin"
    _oracle_general(page, path)
    for ours, theirs in (("lru", lcs.LRU), ("fifo", lcs.FIFO), ("opt", lcs.Belady)):
        parameters = lcs.ReaderInitParam(ignore_obj_size=True)
        kind = lcs.TraceType.ORACLE_GENERAL_TRACE
        reader = lcs.TraceReader(trace=str(path), trace_type=kind, reader_init_params=parameters)
        miss_ratio = theirs(cache_size=frames).process_trace(reader)[0]
        result = rmapemu.replay(va, frames=frames, arch=arch, reclaim=ours)
        assert result.faults == round(miss_ratio * len(va)), ours


def _recorded(accesses):
    """The first page touches of the trace that ships with the project."""
    from rmapemu.trace import demo_trace, open_trace, pages

    with open_trace(demo_trace(), batch=accesses) as trace:
        return pages(next(trace), 12)[0]


def _oracle_general(page, path):
    """libcachesim's own format: time, object, size, the position of its next access (-1: none)."""
    out = np.zeros(len(page), dtype=[("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")])
    out["object"] = page
    out["size"] = 1
    order = np.argsort(page, kind="stable")
    again = page[order][1:] == page[order][:-1]
    out["next"] = -1
    out["next"][order[:-1][again]] = order[1:][again]
    out.tofile(path)
