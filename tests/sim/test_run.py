# SPDX-License-Identifier: GPL-2.0-only
"""replay(): sizes of memory and swap, several processes, errors, repeatability."""

import errno
import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import rmapemu
from rmapemu.errors import OutOfMemory, TraceError
from rmapemu.sim import replay_all
from rmapemu.sim.layout import backend_of
from rmapemu.trace import KIND_EXEC, Batch, write_parquet

BASE = 0x40_0000


def sweep(pages, rounds=3, base=BASE):
    return np.tile(base + 4096 * np.arange(pages, dtype=np.uint64), rounds)


def mixed(pages, accesses, seed=0):
    g = np.random.default_rng(seed)
    va = BASE + 4096 * (g.zipf(1.2, accesses) % pages) + g.integers(0, 4096, accesses)
    return va.astype(np.uint64), g.random(accesses) < 0.3


def trace_file(path, pid, address, kind, size=1):
    n = len(address)
    sizes = np.full(n, size, np.uint32)
    write_parquet(path, [Batch(np.asarray(pid, np.uint32), address, sizes, np.asarray(kind, np.uint8))])
    return str(path)


def test_with_neither_memory_nor_frames_all_that_is_touched_fits(arch):
    result = rmapemu.replay(sweep(500), write=True, arch=arch)
    assert (result.faults, result.derived["evictions"], result.vmstat["pswpout"]) == (500, 0, 0)


@pytest.mark.parametrize("share", ["10%", 0.1, 200 * 4096, f"{200 * 4}K"])
def test_memory_bounds_what_is_resident_whether_as_share_or_as_size(arch, share):
    result = rmapemu.replay(sweep(2000), write=True, memory=share, arch=arch)
    assert result.setup.frames == 200
    room_until_tables_are_there = backend_of(arch).table_frames(np.arange(2000, dtype=np.uint64))
    assert 200 - 32 <= result.peak_rss_pages <= 200 + room_until_tables_are_there
    assert result.series["rss"][-1] <= 200
    assert result.derived["evictions"] > 3000


def test_page_tables_come_on_top_so_that_archs_have_the_same_memory_for_the_trace():
    va = np.tile((np.arange(3000, dtype=np.uint64) << np.uint64(22)) + np.uint64(BASE), 2)
    a, b = replay_all(va, archs=["x86_64", "s390"], reclaims=["v3.2"], write=True, memory="50%")
    assert a.setup.frames == b.setup.frames == 1500
    assert a.setup.memory_bytes != b.setup.memory_bytes
    assert abs(a.faults - b.faults) <= 64


@pytest.mark.parametrize("base", [0, BASE, 0x1F_FEFF_E000, 0x7F00_0000_0000])
@pytest.mark.parametrize("stride_lg2", [12, 21, 30])
def test_the_frames_reckoned_for_page_tables_are_those_that_the_arch_takes(arch, base, stride_lg2):
    va = np.uint64(base) + (np.arange(40, dtype=np.uint64) << np.uint64(stride_lg2))
    result = rmapemu.replay(va, write=True, arch=arch)
    assert result.vmstat["nr_page_table_pages"] == backend_of(arch).table_frames(va >> np.uint64(12))


def test_a_read_of_untouched_memory_maps_the_zero_page_and_the_first_store_upgrades_it(arch):
    va = BASE + 4096 * np.array([0, 0, 1, 1], np.uint64)
    result = rmapemu.replay(va, write=np.array([False, True, False, False]), memory="1M", arch=arch)
    assert (result.faults, result.write_upgrades, result.peak_rss_pages) == (2, 1, 1)


def test_what_readahead_brings_does_not_crowd_out_what_opt_knows(arch):
    va = np.random.default_rng(1).zipf(1.2, 20_000).astype(np.uint64) % np.uint64(400) * np.uint64(4096)
    opt, lru = (rmapemu.replay(va, write=True, memory=0.2, arch=arch, reclaim=name) for name in ("opt", "lru"))
    assert opt.vmstat["pswpin"] > opt.vmstat["pgmajfault"]
    assert opt.faults < 0.8 * lru.faults


def test_without_page_cluster_only_what_is_wanted_is_swapped_in(arch):
    va, write = mixed(2000, 20_000)
    options = {"write": write, "memory": "10%", "arch": arch}
    ahead, alone = rmapemu.replay(va, **options), rmapemu.replay(va, **options, sysctl={"vm.page-cluster": 0})
    assert alone.vmstat["pswpin"] == alone.vmstat["pgmajfault"] < ahead.vmstat["pswpin"]
    assert alone.setup.sysctl == {"page-cluster": 0}


def test_each_pid_has_an_address_space_of_its_own(arch, tmp_path):
    va = np.repeat(sweep(50, 1), 2)
    path = trace_file(tmp_path / "t.parquet", np.tile([7, 900], 50), va, np.ones(100))
    result = rmapemu.replay(path, frames=200, arch=arch)
    assert (result.setup.processes, result.setup.mappings, result.setup.touched_pages) == (2, 2, 100)
    assert (result.faults, result.peak_rss_pages) == (100, 100)


@pytest.mark.parametrize("policy", ["lru", "opt"])
def test_policies_keep_the_pages_of_processes_apart(arch, policy, tmp_path):
    va = np.repeat(sweep(5, 3), 2)
    path = trace_file(tmp_path / "t.parquet", np.tile([7, 900], 15), va, np.ones(30))
    expected = rmapemu.replay(BASE + 4096 * np.tile(np.arange(10, dtype=np.uint64), 3), frames=6, reclaim=policy).faults
    assert rmapemu.replay(path, frames=6, arch=arch, reclaim=policy).faults == expected


def test_instructions_are_fetched_from_mappings_that_allow_it(arch, tmp_path):
    path = trace_file(tmp_path / "t.parquet", np.zeros(50), sweep(50, 1), np.full(50, KIND_EXEC))
    assert rmapemu.replay(path, arch=arch).faults == 50


def test_an_access_that_crosses_a_page_touches_both(arch, tmp_path):
    va = np.array([BASE + 4090, BASE + 9000], np.uint64)
    result = rmapemu.replay(trace_file(tmp_path / "t.parquet", [1, 1], va, [1, 1], size=8), arch=arch)
    assert (result.accesses, result.faults, result.setup.touched_pages) == (3, 3, 3)


def test_the_series_adds_up_to_the_totals(arch, monkeypatch):
    monkeypatch.setattr("rmapemu.sim.run.EVERY", 1000)
    va, write = mixed(400, 5500)
    result = rmapemu.replay(va, write=write, memory="25%", arch=arch)
    assert result.series["accesses"].tolist() == [1000] * 5 + [500]
    assert result.series["faults"].sum() == result.faults
    assert result.series["pgfault"].sum() == result.vmstat["pgfault"]
    assert result.series["pgsteal"].sum() == result.vmstat["pgsteal_normal"]
    assert result.series["nr_active_anon"][-1] == result.vmstat["nr_active_anon"]
    assert {values.dtype for values in result.series.values()} == {np.dtype(np.uint64)}


def test_replays_are_equal_bit_for_bit(arch):
    va, write = mixed(400, 20_000)
    for options in ({"memory": "25%"}, {"frames": 90, "reclaim": "random", "seed": 3}):
        a, b = (rmapemu.replay(va, write=write, arch=arch, **options) for _ in range(2))
        assert a == b
        assert a.to_json() == b.to_json()
        assert a.digest() == b.digest()
        assert "seconds" not in a.to_json()


CHILD = """
import numpy as np, rmapemu
g = np.random.default_rng(5)
va = (4096 * (g.zipf(1.2, 9000) % 300) + (1 << 30)).astype(np.uint64)
print([rmapemu.replay(va, write=va % 3 == 0, memory="20%", arch=a).digest() for a in ("x86_64", "s390")])
"""


def test_replays_are_equal_in_processes_with_different_hash_seeds():
    said = set()
    for seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        child = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True)
        said.add(child.stdout)
    assert len(said) == 1


def test_two_threads_replay_on_two_machines_without_touching_each_other(arch):
    traces = [mixed(300, 30_000, seed) for seed in range(4)]
    alone = [rmapemu.replay(va, write=write, memory="20%", arch=arch).digest() for va, write in traces]
    together = [None] * len(traces)

    def one(i):
        together[i] = rmapemu.replay(traces[i][0], write=traces[i][1], memory="20%", arch=arch).digest()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(traces))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_arrays_are_taken_as_they_are_also_read_only_and_strided(arch):
    va, write = mixed(200, 2000)
    expected = rmapemu.replay(va, write=write, memory="50%", arch=arch).digest()
    va.flags.writeable = write.flags.writeable = False
    assert rmapemu.replay(va, write=write, memory="50%", arch=arch).digest() == expected
    twice = np.repeat(va, 2)[::2], np.repeat(write, 2)[::2]
    assert rmapemu.replay(twice[0], write=twice[1], memory="50%", arch=arch).digest() == expected


def test_progress_tells_what_is_done_and_of_how_much(arch):
    said = []
    rmapemu.replay(sweep(40), arch=arch, progress=lambda *args: said.append(args))
    assert said == [("reading", 960, 960), (f"{arch} v3.2", 120, 120)]


def test_a_trace_larger_than_memory_and_swap_is_out_of_memory_and_says_where(arch):
    with pytest.raises(OutOfMemory, match=r"array: access \d+: 100 frames and 100 pages of swap are too little") as caught:
        rmapemu.replay(sweep(500), write=True, memory=100 * 4096, swap=100 * 4096, arch=arch)
    assert caught.value.errno == errno.ENOMEM
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("policy", ["v3.2", "lru", "fifo", "clock", "random", "opt"])
def test_without_swap_frames_that_do_not_suffice_are_out_of_memory(arch, policy):
    with pytest.raises(OutOfMemory, match="access 21"):
        rmapemu.replay(sweep(50), write=True, frames=20, swap=0, arch=arch, reclaim=policy)


def test_an_address_beyond_the_user_space_is_refused_with_its_place(arch):
    va = sweep(10, 1)
    va[7] = np.uint64((1 << 64) - 4096)
    with pytest.raises(TraceError, match=r"array: access 8: expected addresses below 0x\w+, found 0xfffffffffffff000"):
        rmapemu.replay(va, arch=arch)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory": "1M", "frames": 5}, "give one of them"),
        ({"memory": 4096}, r"least that runs is \d+ bytes \(32 pages, 32% of the 100 that are touched\), found 1$"),
        ({"memory": 1e9}, "most that there can be is 2147483648 frames"),
        ({"memory": 1 << 62}, "most that there can be"),
        ({"memory": "9" * 50}, "too large"),
        ({"memory": "0.1%"}, r"least that runs"),
        ({"memory": "many"}, "'64M' or a share like '10%'"),
        ({"memory": "0%"}, "share above 0"),
        ({"memory": 0}, "more than 0 bytes"),
        ({"memory": float("nan")}, "share above 0"),
        ({"frames": 0}, "least that runs is 1"),
        ({"frames": -1}, "least that runs is 1"),
        ({"frames": 1 << 40}, "frames"),
        ({"swap": "lots"}, "swap='lots'"),
        ({"swap": 1}, "swap=1"),
        ({"sysctl": {"swapiness": 1}}, "swappiness"),
        ({"sysctl": {"min_free_kbytes": -1}}, "min_free_kbytes=-1"),
        ({"sysctl": {"swappiness": 101}}, "0 to 100"),
        ({"arch": "x86"}, "x86_64"),
        ({"arch": "X86_64"}, "did you mean 'x86_64'"),
        ({"reclaim": "lur"}, "lru"),
        ({"reclaim": "LRU"}, "did you mean 'lru'"),
        ({"reclaim": "belady"}, r"unknown \(known: clock"),
    ],
)
def test_what_cannot_run_is_refused_with_what_can(options, said):
    with pytest.raises(ValueError, match=said):
        rmapemu.replay(sweep(100), **options)


@pytest.mark.parametrize(
    "options",
    [{"sysctl": {5: 5}}, {"sysctl": 5}, {"sysctl": {"swappiness": 1.5}}, {"arch": None}, {"reclaim": None}, {"frames": 2.0},
     {"memory": b"1M"}, {"swap": 1.5}, {"write": 1}, {"seed": None}, {"columns": {"address": "a"}}],
)  # fmt: skip
def test_what_has_another_type_is_a_type_error(options):
    with pytest.raises(TypeError):
        rmapemu.replay(sweep(100), **options)


def test_the_result_of_an_open_file_says_nothing_of_where_it_is_in_memory():
    results = [rmapemu.replay(source) for source in (io.BytesIO(b"1000 R\n"), io.BytesIO(b"1000 R\n"), ("rw", io.BytesIO(b"1000 R\n")))]
    assert {result.setup.trace for result in results} == {"file"}
    assert len({result.digest() for result in results}) == 1


def test_memory_may_be_any_float(arch):
    assert rmapemu.replay(sweep(100), memory=np.float32(0.5), arch=arch) == rmapemu.replay(sweep(100), memory=0.5, arch=arch)


@pytest.mark.parametrize("kbytes", [0, 100, 4000])
def test_what_is_to_be_kept_free_comes_on_top_of_the_memory(arch, kbytes):
    result = rmapemu.replay(sweep(400), write=True, memory="50%", arch=arch, sysctl={"min_free_kbytes": kbytes})
    assert 190 <= result.peak_rss_pages <= 205 and result.derived["evictions"] > 0


def test_of_a_swap_area_too_large_what_is_used_is_reported(arch):
    assert rmapemu.replay(sweep(10), swap="1T", arch=arch).setup.swap_bytes == 4096 << 27
    assert rmapemu.replay(sweep(10), swap=100_000, arch=arch).setup.swap_bytes == 98304
    assert rmapemu.replay(sweep(10), swap=0, arch=arch).setup.swap_bytes == 0


@pytest.mark.parametrize(
    "source", [np.zeros(0, np.uint64), "no such file", 7, np.zeros(3), (5, 6), (1, 2, 3), [4096], None]
)
def test_what_is_no_trace_is_refused(source):
    with pytest.raises((TraceError, TypeError, OSError)):
        rmapemu.replay(source)
