# SPDX-License-Identifier: GPL-2.0-only
"""Calls of the reverse map, each a line of Python, checked against the model.

Every call is made on the machine and on the model (tests/model/rmap.py), which gets the dump from before it. Where they differ, the
lines so far are the script that shows it.
"""
from __future__ import annotations

from typing import Any

from model import rmap as model
from rmapemu import TTU, KernelBug, Machine, PageFlag, VmFlag

PRESENT = ("pfn", "write", "young", "dirty", "special", "protnone", "exec")
COSTS = [
    "rmap_walks", "vmas_visited", "ptes_examined", "ptes_matched", "ptes_written", "young_cleared", "dirty_cleared",
    "tlb_flush_page", "cache_flush_page", "clusters_scanned", "rcu_read_lock", "iske", "sske", "rrbe", "lock_page",
    "lock_i_mmap_mutex", "lock_anon_vma", "lock_ptl", "lock_mmap_sem", "lock_swap_lock", "lock_lru_lock", "lock_mmlist_lock",
    "lock_tree_lock", "trylock_failed_page", "trylock_failed_mmap_sem",
]


class Divergence(AssertionError):
    """Machine and model differ; the message ends in a script."""


def seen(dump: dict[str, Any]) -> dict[str, Any]:
    """What of a dump the model speaks of."""
    return {
        "cost": {k: dump["cost"][k] for k in COSTS},
        "vmstat": dump["vmstat"],
        "pages": {k: p | {"flags": sorted(p["flags"])} for k, p in dump["pages"].items()},
        "lists": dump["lists"],
        "mmlist": dump["machine"]["mmlist"],
        "anon_vmas": dump["anon_vmas"],
        "slots": {k: s[:2] for k, s in dump["swap"][0]["slots"].items() if s[:2] != [0, 0]},
        "processes": {
            pid: {"rss": p["rss"], "hiwater_rss": p["hiwater_rss"], "cursors": [v["private_data"] for v in p["vmas"]]}
            | {"entries": {va: entry(e) for va, e in p["entries"].items()}}
            for pid, p in dump["processes"].items()
        },
    }


def entry(e: dict[str, Any]) -> tuple[Any, ...]:
    if e["kind"] == "present":
        return ("present", *(e.get(k, False) for k in PRESENT))
    if e["kind"] == "migration":
        return ("migration", e["pfn"], e["swap_type"])
    return (e["kind"], e.get("pgoff", e.get("pfn", e.get("offset", 0))))


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(a.keys() | b.keys(), key=str) for d in differences(a.get(k), b.get(k), f"{where}[{k!r}]")]
    return [] if a == b else [f"{where}: machine {a!r}, model {b!r}"]


class Script:
    """Runs lines; a line that calls ``m.rmap`` is checked against the model."""

    def __init__(self, arch: str, config: dict[str, bool]) -> None:
        self.first = f"m = Machine({arch!r}, memory='24M', swap='512K', config={config!r}); lab = m.lab"
        self.names: dict[str, Any] = {"Machine": Machine, "VmFlag": VmFlag, "TTU": TTU, "PageFlag": PageFlag}
        self.lines: list[str] = []
        self.calls = 0
        self.dead = False
        exec(self.first, self.names)
        self.m: Machine = self.names["m"]

    def run(self, line: str) -> None:
        self.lines.append(line)
        exec(line, self.names)

    def call(self, name: str, page: str, *args: Any) -> None:
        """A function of the reverse map: args are Python text for the machine; the model gets their values."""
        line = f"m.rmap.{name}({', '.join([page, *map(str, args)])})"
        self.lines.append(line)
        self.calls += 1
        expected = model.Rmap(self.m.dump())
        theirs: Any
        try:
            theirs = getattr(expected, name)(self.names[page].pfn, *(self.value(a) for a in args))
        except model.Bug as bug:
            theirs = ("bug", *bug.args)
        try:
            ours = self.result(name, eval(line, self.names))
        except KernelBug as bug:
            ours = ("bug", bug.condition, bug.function)
            self.dead = True
        wrong = differences(ours, theirs, "returned")
        if not wrong and not self.dead:
            wrong = differences(seen(self.m.dump()), seen(expected.d))
        if wrong:
            raise Divergence("\n".join([*wrong[:8], "", "from rmapemu import *", self.first, *self.lines]))

    def value(self, text: Any) -> Any:
        value = eval(str(text), self.names)
        return getattr(value, "serial", value)

    def result(self, name: str, value: Any) -> Any:
        if name == "page_referenced":
            return value[0], sorted(f.name for f in VmFlag if f in value[1])
        return int(value) if value is not None else None
