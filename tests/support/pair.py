# SPDX-License-Identifier: GPL-2.0-only
"""A machine and its model, driven together: each step is done on both, and both must say the same."""

from __future__ import annotations

import errno
from collections.abc import Callable

from model.anon_vma import Slab
from model.page import Bus, File, Invalid, NoMemory, Segv, World
from model.process import Mm
from model.vma import GROWSDOWN
from support.agreement import Divergence, View, same
from support.script import Script, evaluate

TOP = {"x86_64": (1 << 35) - 1, "s390": 1 << 30}  # the first page that no process has
FAILING = {("errno", errno.ENOMEM), ("errno", errno.EAGAIN)}
Outcome = tuple[str, object]


class Pair:
    def __init__(self, arch: str, memory: str, swap: str, *, roomy: bool) -> None:
        # where reclaim sweeps nonlinear VMAs, v3.2 dies of a locked one (CVE-2014-3122), which is for other tests to see
        self.script = Script(arch, memory, swap=swap, config={"cluster_mlock_fix": not roomy})
        self.roomy = roomy
        self.page = self.script.m.page_size
        self.world = World(keys=arch == "s390", page_bytes=self.page)
        self.slab = Slab()
        self.top = TOP[arch]
        self.processes: dict[str, tuple[int, Mm]] = {}
        self.files: dict[str, tuple[int, File]] = {}
        self.made = 0
        self.armed: tuple[int, int, str] | None = None  # what fails in the next step, on a clone
        self.failing: str | None = None  # what fails on the clone of now
        self.called = False
        self.steps = 0

    # ------------------------------------------------------------ one step
    def do(
        self, expression: str, model: Callable[[], object], *, name: str | None = None, atomic: bool = False, trial: bool = True
    ) -> Outcome:
        """`model()` returns what the machine must return (None: anything) or raises.

        `atomic`: all of it happens, or nothing. `trial`: where an allocation is to fail, that is tried on a clone first.
        """
        self.steps += 1
        self.called = False
        try:
            return self._do(expression, model, name, Trial(self, expression, atomic) if self.armed and trial and not self.scarce else None)
        except Exception as error:
            lines = self.script.lines
            if self.failing is not None:
                # it was a clone that differed: with this, the machine itself will
                done = [lines.pop()] if self.called else []
                lines += [f"m.lab.fail_alloc({self.failing})", f"with suppress(Exception): {expression}", "m.lab.fail_alloc(0)", *done]
            raise Divergence(f"{type(error).__name__}: {error}\n\n{self.script}\n") from error

    @property
    def scarce(self) -> bool:
        """Are VMAs limited? Then a step that has failed half-way may have made too many for itself."""
        return self.world.knobs["max_map_count"] < 100

    def _do(self, expression: str, model: Callable[[], object], name: str | None, trial: Trial | None) -> Outcome:
        real = self.script.call(expression, name)
        self.called = True
        wanted = self.attempt(model)
        self.adopt(expression, real, name)
        if not agree(real, wanted):
            raise Divergence(f"{expression}: the machine says {real}, the model {wanted}")
        if trial is not None:
            trial.settle(wanted)
            self.failing = None
        return real

    def attempt(self, model: Callable[[], object]) -> Outcome:
        try:
            return "ok", model()
        except Segv as fault:
            return "refused", ("SIGSEGV", fault.args[0] * self.page, *fault.args[1:], getattr(fault, "completed", 0))
        except Bus as fault:
            return "refused", ("SIGBUS", fault.args[0] * self.page, "ADRERR", getattr(fault, "completed", 0))
        except NoMemory:
            return "refused", ("errno", errno.ENOMEM)
        except Invalid:
            return "refused", ("errno", errno.EINVAL)

    def adopt(self, expression: str, real: Outcome, name: str | None) -> None:
        """A new process or file of the machine gets its number."""
        if name is None or real[0] != "ok":
            return
        if name in self.processes:
            self.processes[name] = (real[1].pid, self.processes[name][1])  # type: ignore[attr-defined]
        elif name in self.files:
            self.files[name] = (real[1].ino, self.files[name][1])  # type: ignore[attr-defined]

    # ------------------------------------------------------------ what must hold
    def view(self, m: object = None) -> View:
        return View((m or self.script.m).dump(), self.world, self.slab, dict(self.processes.values()))  # type: ignore[attr-defined]

    def check(self) -> None:
        try:
            self.script.m.check()
            view, numbers = self.view(), dict(self.files.values())
            view.vmas()
            view.contents()
            view.files(numbers)
            if self.roomy:
                view.exactly(numbers)
        except Exception as error:
            raise Divergence(f"{type(error).__name__}: {error}\n\n{self.script}\n") from error

    # ------------------------------------------------------------ new ones
    def number(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"

    def spawn(self) -> None:
        name = self.number("p")

        def model() -> None:
            self.processes[name] = (0, Mm(self.world, self.slab, self.top))

        self.do("m.spawn('init')", model, name=name, atomic=True)

    def fork(self, parent: str) -> str:
        name = self.number("p")

        def model() -> None:
            self.processes[name] = (0, self.processes[parent][1].fork())

        self.do(f"{parent}.fork()", model, name=name, atomic=True)
        return name

    def exit(self, name: str) -> None:
        _, mm = self.processes.pop(name)
        self.do(f"{name}.exit()", mm.exit)

    def create(self, kind: str, size: int) -> None:
        name = self.number("f")

        def model() -> None:
            file = File(self.world, kind, size)
            self.world.files.append(file)
            self.files[name] = (0, file)

        self.do(f"m.file({size}, {kind!r})", model, name=name, atomic=True)

    def close(self, name: str) -> None:
        _, file = self.files.pop(name)
        self.do(f"{name}.close()", lambda: self.world.files.remove(file))


def agree(real: Outcome, wanted: Outcome) -> bool:
    return real[0] == wanted[0] and (real[1] == wanted[1] or (real[0] == "ok" and wanted[1] is None))


class Trial:
    """The step with failing allocations, on a clone: the error comes out and nothing is left; done again, it ends as if at once."""

    def __init__(self, pair: Pair, expression: str, atomic: bool) -> None:
        assert pair.armed is not None
        self.pair, self.expression = pair, expression
        nth, count, kind = pair.armed
        rule = f"{nth}, {count}, {kind!r}" if kind else f"{nth}, {count}"
        pair.failing = rule
        self.names = pair.script.copy()
        self.m = self.names["m"]
        before = eval(f"m.lab.fail_alloc({rule})", self.names)
        self.outcome = evaluate(expression, self.names)
        self.failed = self.m.lab.fail_alloc(0) > before  # type: ignore[attr-defined]
        self.m.check()  # type: ignore[attr-defined]
        if self.failed:
            pair.armed = None
        if self.failed and atomic and self.outcome[0] == "refused":
            self.unchanged(rule)

    def unchanged(self, rule: str) -> None:
        same(f"{self.expression} with fail_alloc({rule})", self.outcome[1] in FAILING, True)
        view = self.pair.view(self.m)
        view.vmas()
        view.contents()
        if self.pair.roomy:
            return
        # and so the machine itself goes on from the failure
        script = self.pair.script
        script.run(f"m.lab.fail_alloc({rule})")
        real = script.call(self.expression)
        script.run("m.lab.fail_alloc(0)")
        same(f"{self.expression} once more with fail_alloc({rule})", real, self.outcome)
        self.pair.check()

    def settle(self, wanted: Outcome) -> None:
        refused = self.outcome[0] == "refused" and (self.outcome[1] in FAILING or self.not_grown())
        if not agree(self.outcome, wanted) and not (self.failed and (refused or self.outcome[0] == "ok")):
            raise Divergence(f"{self.expression} on a clone: {self.outcome}, but {wanted} on the machine")
        if self.failed and (refused or not agree(self.outcome, wanted)):
            again = evaluate(self.expression, self.names)
            same(f"{self.expression} again after a failed allocation", agree(again, wanted) or again, True)
            self.m.check()  # type: ignore[attr-defined]
        view = self.pair.view(self.m)
        view.flat(hidden=self.failed)
        view.contents(hidden=self.failed)
        self.m.close()  # type: ignore[attr-defined]

    def not_grown(self) -> bool:
        """A stack that lacks memory to grow (here, where by now the model's did) is no mapping there: SIGSEGV."""
        kind, address, *why = self.outcome[1]  # type: ignore[misc]
        if kind != "SIGSEGV" or why[0] != "MAPERR":
            return False
        grown = [mm.vmas.find(address // self.pair.page) for _, mm in self.pair.processes.values()]
        return any(v.flags & GROWSDOWN for v in grown if v is not None)
