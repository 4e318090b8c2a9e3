# SPDX-License-Identifier: GPL-2.0-only
"""Calls of the reverse map on a machine and on the model (tests/model/rmap.py), compared after each one.

The machine's state is had as plain data (m.lab.state()); the model changes its own copy of it. Where they differ, the lines so far are
the script that shows it. What is done on the workbench in between is taken over from the machine.
"""
from __future__ import annotations

from typing import Any

from model import rmap as model
from rmapemu import KernelBug, Machine, OutOfMemory, PageFlag, Swap, VmFlag, WouldBlock
from rmapemu.machine.file import File
from rmapemu.machine.page import Page
from rmapemu.machine.process import Process
from rmapemu.machine.pte import Pte
from rmapemu.machine.vma import Vma

HEADER = """from rmapemu import *

def helper(lock, owner):
    lab.release(lock, owner)
    return True

def walker(page, vma, address):
    visits.append((vma.serial, address))
    return answer if len(visits) == after else None
"""


class Divergence(AssertionError):
    """Machine and model differ; the message ends in a script."""


class Name(str):
    """An argument that is one of the script's names."""


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(a.keys() | b.keys(), key=str) for d in differences(a.get(k), b.get(k), f"{where}[{k!r}]")]
    return [] if a == b else [f"{where}: machine {a!r}, model {b!r}"]


def number(value: Any) -> Any:
    """How the model names it."""
    if isinstance(value, Page):
        return value.pfn
    if isinstance(value, Vma):
        return value.serial
    if isinstance(value, Process):
        return value.pid
    return value.ino if isinstance(value, File) else value


def plain(value: Any) -> Any:
    """A result as the model gives it."""
    if isinstance(value, tuple) and not isinstance(value, Pte):
        return tuple(plain(v) for v in value)
    if isinstance(value, Pte):
        return value._replace(raw=0)
    return int(value) if isinstance(value, (Swap, VmFlag)) else value


TEMPLATES: dict[tuple[str, str], Machine] = {}
"""By arch and configuration: a clone is had sooner than a new machine."""


class Script:
    """A machine and its model. Every line is kept."""

    def __init__(self, arch: str, config: dict[str, bool]) -> None:
        self.first = f"m = Machine({arch!r}, memory='24M', swap='512K', config={config!r}); lab = m.lab"
        key = (arch, repr(config))
        if key not in TEMPLATES:
            TEMPLATES[key] = Machine(arch, memory="24M", swap="512K", config=config)
        self.m = TEMPLATES[key].clone()
        self.lab, self.rmap = self.m.lab, self.m.rmap
        self.names: dict[str, Any] = {}
        self.lines: list[tuple[str, str, str, tuple[Any, ...], dict[str, Any], str]] = []
        self.calls = self.bugs = self.blocked = 0
        self.model = model.Rmap(arch, self.m.config)
        self.model.load(self.lab.state())
        self.stale = False
        self.visits: list[tuple[int, int]] = []
        self.answer, self.after = Swap.AGAIN, 0
        self.lab.on_block(None)

    # ------------------------------------------------------------ the workbench
    def run(self, method: str, *args: Any, to: str = "", **more: Any) -> Any:
        """``to = lab.method(args)``"""
        self.lines.append(("lab", method, to, args, more, ""))
        value = getattr(self.lab, method)(*self.values(args), **{k: self.value(v) for k, v in more.items()})
        if to:
            self.names[to] = value
        self.stale = True
        return value

    def value(self, arg: Any) -> Any:
        if type(arg) is tuple:
            return tuple(self.values(arg))
        return self.names[arg] if type(arg) is Name else arg

    def values(self, args: tuple[Any, ...]) -> list[Any]:
        return [self.value(a) for a in args]

    def state(self) -> dict[str, Any]:
        """What the model holds, after what the workbench did."""
        if self.stale:
            self.model.load(self.lab.state())
            self.stale = False
        return self.model.d

    def help(self, helpful: bool) -> None:
        """Whether a lock that is waited for is let go of."""
        self.lines.append(("lab", "on_block", "", (Name("helper") if helpful else None,), {}, ""))
        self.names["helper"] = self.helper
        self.lab.on_block(self.helper if helpful else None)
        self.model.helpful = helpful

    def helper(self, lock: str, owner: Any) -> bool:
        self.lab.release(lock, owner)
        return True

    # ------------------------------------------------------------ calls
    def walker(self, page: Page, vma: Vma, address: int) -> Swap | None:
        self.visits.append((vma.serial, address))
        return self.answer if len(self.visits) == self.after else None

    def walk(self, name: str, page: str, answer: Swap, after: int) -> None:
        """rmap_walk with a function that ends it at the nth place."""
        self.lines.append(("", f"visits, answer, after = [], {answer!s}, {after}", "", (), {}, ""))
        self.names["walker"] = self.walker
        self.visits, self.answer, self.after = [], answer, after
        seen: list[tuple[int, int]] = []

        def visit(serial: int, va: int) -> int:
            seen.append((serial, va))
            return int(answer) if len(seen) == after else int(Swap.AGAIN)

        self.call(name, Name(page), Name("walker"), model_args=(visit,))
        if self.visits != seen:
            self.diverged([f"visited: machine {self.visits}, model {seen}"])

    def call(self, name: str, *args: Any, model_args: tuple[Any, ...] | None = None, **more: Any) -> Any:
        """A function of the reverse map: its result, the same of both."""
        self.state()
        self.calls += 1
        values = self.values(args)
        wanted = [number(v) for v in values]
        if model_args is not None:
            wanted[1:] = model_args
        theirs = self.outcome(getattr(self.model, name), wanted, more)
        ours = self.outcome(getattr(self.rmap, name), values, more)
        if name == "page_check_address_pmd":
            ours = ours is not None if not isinstance(ours, str) else ours
        dead = isinstance(theirs, str) and theirs.startswith("bug")
        self.lines.append(("m.rmap", name, "", args, more, "bug" if dead else ours if isinstance(ours, str) else ""))
        if ours != theirs:
            self.diverged([f"returned: machine {ours!r}, model {theirs!r}"])
        state = self.lab.state()
        if state != self.model.d:
            self.diverged(differences(state, self.model.d))
        if dead:
            self.bugs += 1
            self.revived()
        return ours

    def revive(self) -> None:
        """Every lock of an operation is free again."""
        self.lines.append(("lab", "revive", "", (), {}, ""))
        self.revived()

    def revived(self) -> None:
        self.lab.revive()
        self.model.release_all()
        self.stale = True

    def outcome(self, function: Any, args: list[Any], more: dict[str, Any]) -> Any:
        try:
            return plain(function(*args, **more))
        except model.Bug as bug:
            condition, name = bug.args
            return f"bug: {condition}" if condition in ("deadlock", "lock order") else f"bug: {condition} in {name}"
        except KernelBug as bug:
            return f"bug: {bug.kind}" if bug.kind in ("deadlock", "lock order") else f"bug: {bug.condition} in {bug.function}"
        except (model.Blocked, WouldBlock) as blocked:
            self.blocked += 1
            return f"blocked: {blocked.args[0]}"
        except (model.NoMemory, OutOfMemory):
            return "no memory"

    # ------------------------------------------------------------ what is shown
    def diverged(self, wrong: list[str]) -> None:
        raise Divergence("\n".join([*wrong[:8], "", HEADER, self.first, *self.text()]))

    def text(self) -> list[str]:
        """The lines as Python."""
        lines = []
        for owner, method, to, args, more, outcome in self.lines:
            if not owner:
                lines.append(method)
                continue
            shown = [self.shown(a) for a in args] + [f"{k}={self.shown(v)}" for k, v in more.items()]
            line = f"{to} = " * bool(to) + f"{owner}.{method}({', '.join(shown)})"
            if outcome == "bug":
                line = f"try: {line}\nexcept KernelBug: lab.revive()"
            elif outcome:
                line = f"try: {line}\nexcept RmapemuError: print({outcome!r})"
            lines.append(line)
        return lines

    def shown(self, arg: Any) -> str:
        if type(arg) is Name:
            return str(arg)
        if type(arg) is tuple:
            return f"({', '.join(map(self.shown, arg))})"
        return hex(arg) if type(arg) is int and arg >= 4096 else str(arg) if isinstance(arg, (Swap, PageFlag)) else repr(arg)
