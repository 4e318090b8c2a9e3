# SPDX-License-Identifier: GPL-2.0-only
"""replay(): a trace through a whole machine. Survey the trace, set the machine up, map, replay, collect.

Kernel: none; every mapping is private anonymous memory (do_mmap_pgoff with MAP_FIXED), every access a hardware access.
What a trace cannot tell (mappings, files, forks) is not guessed beyond the mappings that its pages need.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from rmapemu.errors import OutOfMemory
from rmapemu.machine import Machine
from rmapemu.machine.sizes import parse_int, pick
from rmapemu.sim.future import next_uses
from rmapemu.sim.layout import Layout, backend_of, check_amounts, plan
from rmapemu.sim.loop import Loop
from rmapemu.sim.result import Result, Setup, Timing
from rmapemu.sim.sizes import parse_memory
from rmapemu.sim.survey import Survey, survey
from rmapemu.trace import Batch, Trace, demo_trace, open_trace, pages, write_parquet

Progress = Callable[[str, int, "int | None"], None]
"""progress(what, done, total): what is going on ("reading", "x86_64 v3.2"), how far, of how much where that is known."""

EVERY = 1_000_000
"""Accesses between two samples of the time series."""


def replay(
    source: Any,
    *,
    write: bool | np.ndarray | None = None,
    columns: Mapping[str, str] | None = None,
    memory: int | float | str | None = None,
    frames: int | None = None,
    arch: str = "x86_64",
    reclaim: str = "v3.2",
    swap: int | str | None = None,
    seed: int = 0,
    sysctl: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Replay a trace on a machine of its own.

    source: "format:path", a path, "demo" (the trace that ships with the project), "-" for standard input, or byte
    addresses (uint64[n]) with `write` (bool or bool[n]: which of them store). columns: what csv and Parquet call our
    columns, {"address": "va"}; "va:hex" where its numbers are bare hexadecimal. memory: what the trace's own pages may
    use, in bytes ("64M") or as a share of the touched pages ("10%", 0.1); page tables and what the kernel keeps free
    come on top, so that archs compare (docs/replay.md). frames, instead: exactly so many frames, no watermarks, no
    zero page, no readahead, one eviction at a time. Neither: as much memory as the trace touches. reclaim: "v3.2",
    "lru", "fifo", "clock", "random", "opt". swap: bytes; None: enough for the trace; 0: none. seed: for "random".
    sysctl: knobs of /proc/sys/vm by name, {"page-cluster": 0} for no swap readahead, {"swappiness": 100}.

    Raises TraceError (a trace that is not what it should be, an address outside of the arch's user space), ValueError,
    TypeError, OSError, and OutOfMemory where memory and swap together cannot hold the trace.

    >>> result = replay(np.arange(40, dtype=np.uint64) * 4096, write=True, frames=10)
    >>> result.faults, result.derived["evictions"]
    (40, 30)
    """
    return replay_all(
        source, archs=[arch], reclaims=[reclaim], write=write, columns=columns, memory=memory, frames=frames, swap=swap,
        seed=seed, sysctl=sysctl, progress=progress,
    )[0]  # fmt: skip


def replay_all(
    source: Any,
    *,
    archs: Sequence[str],
    reclaims: Sequence[str],
    write: bool | np.ndarray | None = None,
    columns: Mapping[str, str] | None = None,
    memory: int | float | str | None = None,
    frames: int | None = None,
    swap: int | str | None = None,
    seed: int = 0,
    sysctl: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """One replay for each arch and policy, the trace surveyed once; otherwise as `replay`."""
    if memory is not None and frames is not None:
        raise ValueError("memory and frames: give one of them")
    amount = None if memory is None else parse_memory(memory)
    backends = [backend_of(arch) for arch in archs]
    check_amounts(frames, swap)
    knobs = _knobs(sysctl)
    for policy in reclaims:
        pick(policy, {"v3.2", *(point.name for point in entry_points(group="rmapemu.reclaim"))}, "reclaim")
    results: list[Result] = []
    found: dict[tuple[int, int], Survey] = {}
    with _opened(source, write, columns, progress) as (trace, name, skipped_lines):
        for backend in backends:
            key = backend.page_shift, backend.user_limit
            if key not in found:
                found[key] = _survey(trace, name, *key, progress)
                if skipped_lines is not None:
                    found[key] = replace(found[key], skipped_lines=skipped_lines)
            for policy in reclaims:
                layout = plan(found[key], backend, amount, frames, swap, knobs.get("min_free_kbytes"))
                results.append(_one(trace, found[key], layout, policy, seed, knobs, progress))
    return results


def _knobs(sysctl: Mapping[str, int] | None) -> dict[str, int]:
    """Names as in /proc/sys/vm, "vm." before them or not; what is wrong with a name or a value the machine says."""
    knobs = dict(sysctl or {})
    for name in knobs:
        if not isinstance(name, str):
            raise TypeError(f"sysctl: expected names, such as 'swappiness', found {name!r}")
    knobs = {name.removeprefix("vm."): value for name, value in knobs.items()}
    if "min_free_kbytes" in knobs:
        parse_int(knobs["min_free_kbytes"], "min_free_kbytes", 0, 1 << 53)
    return knobs


@contextmanager
def _opened(source: Any, write: Any, columns: Any, progress: Progress | None) -> Iterator[tuple[Trace, str, int | None]]:
    """The trace, fit to be read several times, its name, and how many lines were skipped if the trace cannot tell.

    What comes through a pipe is first kept in a temporary file.
    """
    name = source if isinstance(source, str) else None
    if isinstance(source, str) and source == "demo":
        source = demo_trace()
    with open_trace(source, write=write, columns=columns) as trace:
        name = trace.name if name is None else name
        if trace.rewindable:
            yield trace, name, None
            return
        with tempfile.TemporaryDirectory(prefix="rmapemu-") as folder:
            path = Path(folder) / "trace.parquet"
            write_parquet(path, _told(trace, progress), level=1)
            with open_trace(f"parquet:{path}") as kept:
                yield kept, name, trace.stats.skipped_lines


def _told(trace: Trace, progress: Progress | None) -> Iterator[Batch]:
    for batch in trace:
        if progress is not None:
            progress("receiving", trace.bytes_read, None)
        yield batch


def _survey(trace: Trace, name: str, page_shift: int, user_limit: int, progress: Progress | None) -> Survey:
    def step(bytes_read: int) -> None:
        if progress is not None:
            progress("reading", bytes_read, trace.bytes_total)

    return survey(trace, name, page_shift, user_limit, step)


def _one(trace: Trace, found: Survey, layout: Layout, reclaim: str, seed: int, knobs: dict[str, int], progress: Progress | None) -> Result:
    what = f"{layout.arch} {reclaim}"
    with Machine(layout.backend, reclaim=reclaim, seed=seed, **layout.machine_options()) as machine:
        _turn(machine, {"overcommit_memory": 1} | knobs)
        processes = _map_all(machine, found)
        loop = Loop(machine, [process.pid for process in processes], EVERY)
        if loop.wants_future:
            loop.set_future(next_uses(trace, found))
        try:
            for batch in trace:
                va, kind, pid = pages(batch, found.page_shift)
                loop.feed(va, kind, found.who(pid))
                if progress is not None:
                    progress(what, loop.accesses, found.accesses)
        except OutOfMemory as error:
            raise OutOfMemory(f"{found.name}: access {loop.accesses + 1}: {layout.held()} are too little; {error.lists}") from None
        timing = Timing(found.seconds, trace.stats.seconds, loop.seconds)
        return _collect(machine, processes, loop, found, layout, reclaim, seed, knobs, timing)


def _turn(machine: Machine, knobs: dict[str, int]) -> None:
    """Set sysctls; ValueError for an unknown one."""
    for name, value in knobs.items():
        try:
            machine.sysctl[name] = value
        except KeyError as error:
            raise ValueError(error.args[0]) from None


def _map_all(machine: Machine, found: Survey) -> list[Any]:
    processes = []
    prot = "rwx" if found.executes else "rw"
    for touched in found.processes:
        process = machine.spawn("trace" if touched.pid is None else f"pid {touched.pid}")
        for first, end in touched.mappings:
            length = (end - first) << found.page_shift
            process.mmap(length, prot=prot, flags="private|anonymous", addr=first << found.page_shift, fixed=True)
        processes.append(process)
    return processes


def _swap_bytes(machine: Machine, layout: Layout) -> int:
    """Of the whole area, its header too: what swapon took of a larger one."""
    pages = machine.meminfo()["SwapTotal"] * 1024 // layout.page_bytes
    return (pages + 1) * layout.page_bytes if pages else 0


def _collect(
    machine: Machine, processes: list[Any], loop: Loop, found: Survey, layout: Layout, reclaim: str, seed: int,
    knobs: dict[str, int], timing: Timing,
) -> Result:  # fmt: skip
    setup = Setup(
        trace=found.name, arch=layout.arch, reclaim=reclaim, seed=seed, frames=layout.frames,
        exact_frames=layout.exact_frames, memory_bytes=layout.memory_bytes, swap_bytes=_swap_bytes(machine, layout),
        page_bytes=1 << found.page_shift, processes=len(processes), mappings=found.nr_mappings,
        touched_pages=found.touched_pages, only_read_pages=found.only_read, skipped_lines=found.skipped_lines, sysctl=knobs,
    )  # fmt: skip
    return Result(
        setup, loop.accesses, loop.faults, loop.write_upgrades, loop.peak_rss_pages,
        machine.vmstat, machine.cost.as_dict(), loop.series(), timing,
    )  # fmt: skip
