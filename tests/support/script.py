# SPDX-License-Identifier: GPL-2.0-only
"""Steps on a machine that are kept as text, so that what went wrong comes out as a script to paste."""

from __future__ import annotations

from contextlib import suppress
from types import CodeType

from rmapemu import Machine
from rmapemu.errors import BusError, SegmentationFault
from rmapemu.machine.file import File
from rmapemu.machine.process import Process

REFUSALS = (OSError, SegmentationFault, BusError)
_compiled: dict[str, CodeType] = {}


class Script:
    """A machine `m`, its processes p1, p2, ... and files f1, f2, ..., and the lines that made them what they are."""

    def __init__(self, *machine: object, **options: object) -> None:
        values = [repr(a) for a in machine] + [f"{name}={value!r}" for name, value in options.items()]
        self.names: dict[str, object] = {"Machine": Machine, "suppress": suppress}
        self.lines = ["from contextlib import suppress", "from rmapemu import Machine"]
        self.run(f"m = Machine({', '.join(values)})")
        self.run("m.sysctl.overcommit_memory = 1")

    @property
    def m(self) -> Machine:
        m = self.names["m"]
        assert isinstance(m, Machine)
        return m

    def run(self, line: str) -> None:
        self.lines.append(line)
        exec(line, self.names)

    def call(self, expression: str, name: str | None = None) -> tuple[str, object]:
        """("ok", result), or ("refused", why); `name` is what the result is called from now on."""
        line = f"{name} = {expression}" if name else expression
        self.lines.append(line)
        outcome = evaluate(expression, self.names)
        if outcome[0] == "refused":
            self.lines[-1] = f"with suppress(Exception): {line}  # {outcome[1]}"
        elif name:
            self.names[name] = outcome[1]
        return outcome

    def copy(self) -> dict[str, object]:
        """The same names, on a clone of the machine."""
        clone = self.m.clone()
        names: dict[str, object] = dict(self.names, m=clone)
        for name, what in self.names.items():
            if isinstance(what, Process) and what.alive:
                names[name] = next(p for p in clone.processes if p.pid == what.pid)
            elif isinstance(what, File):
                names[name] = File(clone, what.ino, what.generation)
        return names

    def __str__(self) -> str:
        return "\n".join([*self.lines, "m.check()"])


def evaluate(expression: str, names: dict[str, object]) -> tuple[str, object]:
    code = _compiled.get(expression) or _compiled.setdefault(expression, compile(expression, "<step>", "eval"))
    try:
        return "ok", eval(code, names)
    except REFUSALS as error:
        return "refused", reason(error)


def reason(error: Exception) -> tuple[object, ...]:
    """What a model can know of an error."""
    if isinstance(error, SegmentationFault | BusError):
        kind = "SIGSEGV" if isinstance(error, SegmentationFault) else "SIGBUS"
        return kind, error.address, error.reason, getattr(error, "completed", 0)
    assert isinstance(error, OSError)
    return "errno", error.errno
