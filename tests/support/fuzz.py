# SPDX-License-Identifier: GPL-2.0-only
"""Random calls of the whole public API: ``python fuzz.py SEED CALLS LOG lab|plain|closed``, in a process of its own.

Arguments are made by the name of the parameter: mostly sensible ones, sometimes anything. The calls go to LOG, so that
the last line names the call that killed the interpreter. What comes out must be a documented exception. ``plain`` leaves
out the workbench and the functions of the reverse map, which can be called on any state: then no call may find a bug
of the kernel, and ``Machine.check`` holds. ``closed`` calls everything after its machine has been closed.
"""

import faulthandler
import inspect
import os
import random
import sys
import types

import numpy as np

from rmapemu import Machine, errors
from rmapemu.machine.enums import TTU, PageFlag, VmFlag

DOCUMENTED = (TypeError, ValueError, OSError, errors.RmapemuError)
FATAL_WHEN_PLAIN = (errors.KernelBug, errors.CheckError)
CHECK_EVERY = 8
OBJECTS = ("Process", "Vma", "File", "Page")
LEFT_OUT = {"close", "clone", "dump", "measure", "physical_memory"}
"""Rare instead: they are slow, or end the machine."""

INTS = [0, 1, 2, 3, 7, 63, 64, 4095, 4096, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**47, 2**52, 2**63 - 1, 2**63, 2**64 - 1, 2**64]
ODD = [
    None, True, -1, -(2**31), -(2**63), -(2**63) - 1, 2**200, 0.0, 1.5, -0.5, float("nan"), float("inf"), 1j, "", "x", "rwx", "64M",
    "-1", "1e9", "9" * 400, "\0", "\ud800", b"", b"rw", [], [1, "x"], (), (1,), (1, 2), (-1, 2**70), {}, {"a": 1}, set(), object(), int,
    np.int64(-1), np.uint64(2**64 - 1), np.float64("nan"), np.bool_(True), np.array(5), np.array([]), np.array([1.5, 2.5]),
    np.array([[1, 2], [3, 4]]), np.array(["a"]), np.array([None]), np.arange(10, dtype=">i8"), np.arange(-4, 4), slice(1), range(3),
    np.zeros(3, dtype=[("a", "u4")]), np.array([2**64 - 1], dtype=np.uint64), np.full(5, 2, dtype=np.uint8), np.arange(9)[::-2],
]  # fmt: skip
"""What no parameter wants, or few."""

WORDS = {
    "prot": ["r", "rw", "rwx", "", "x", "none", 0, 1, 3, 7],
    "flags": ["private|anonymous", "shared|anonymous", "private", "shared", "private|anonymous|growsdown", "private|anonymous|locked"],
    "kind": ["r", "w", "x", "regular", "shmem", "tmpfs", "plain", "ksm", "thp", "huge", "vma", "mm", "anon", "file", "swap"],
    "name": ["init", "file", "nr_mapped", "nr_anon_pages", "active_anon", "inactive_anon", "inactive_file", "unevictable", None],
    "lock": ["mmap_sem", "i_mmap_mutex", "anon_vma", "ptl", "lru_lock", "swap_lock", "mmlist_lock", "page", "page_table_lock"],
    "mode": ["r", "w", "read", "write", "none", "lifo"],
    "where": ["head", "tail"],
    "daemon": ["kswapd", "ksmd"],
}


class Fuzz:
    """Machines, what belongs to them, and the next call."""

    def __init__(self, seed, lab, log):
        self.r = random.Random(seed)
        self.lab = lab
        self.log = log
        self.count = 0
        self.machines = [self.machine() for _ in range(2)]
        gone = self.machine()
        self.strange = [gone, *self.populate(gone)]
        gone.close()
        self.pool = {machine: self.populate(machine) for machine in self.machines}

    def machine(self):
        arch = self.r.choice(["x86_64", "s390"])
        reclaim = self.r.choice(["v3.2"] * 4 + ["lru", "fifo", "clock", "random"])
        swap = self.r.choice([None, "1M", "4M"])
        options = self.r.choice([{}, {}, {"frames": 40}])
        options = {"memory": self.r.choice(["2M", "4M"])} | options
        if "frames" in options:
            options.pop("memory")
        if self.lab and self.r.random() < 0.4:
            switches = ("debug_vm", "migration", "hugetlb_page", "transparent_hugepage", "ksm", "cgroup_mem", "cluster_mlock_fix")
            options["config"] = {name: self.r.random() < 0.5 for name in switches}
        self.write(f"Machine({arch!r}, swap={swap!r}, reclaim={reclaim!r}, **{options})")
        return Machine(arch, swap=swap, reclaim=reclaim, **options)

    def populate(self, machine):
        process = machine.spawn("p")
        try:
            file = machine.file(20 << 12)
            vmas = [process.mmap(16 << 12), process.mmap(20 << 12, "rw", "shared", file=file), process.mmap(4 << 12, "r")]
            process.access(vmas[0].start + 4096 * np.arange(16), "w")
            child = process.fork()
            process.write(vmas[1].start, 7)
            page = [page for page in [process.page_at(vmas[0].start)] if page]
            return [process, child, file, *vmas, *page]
        except errors.OutOfMemory:
            return [process]

    # ------------------------------------------------------------ arguments
    def any_of(self, kind, machine):
        """An object of the machine; now and then one of another machine, or of one that is closed."""
        pool = self.pool.get(machine, [])
        if self.r.random() < 0.04:
            pool = self.strange + self.pool[self.r.choice(self.machines)]
        found = [x for x in pool if type(x).__name__ == kind]
        return self.r.choice(found) if found else None

    def address(self, machine):
        vma = self.any_of("Vma", machine)
        start = vma.start if vma is not None else self.r.choice(INTS)
        offset = self.r.choice([0, 0, 0, 4096, 8192, 4096 * self.r.randrange(20), self.r.randrange(1 << 17), -4096, -1])
        return max(0, start + offset)

    def odd(self, machine):
        kind = self.r.random()
        if kind < 0.3:
            return self.r.choice(INTS)
        if kind < 0.5:
            return self.any_of(self.r.choice(OBJECTS), self.r.choice(self.machines)) or self.r.choice(self.machines)
        return self.r.choice(ODD)

    def argument(self, name, machine):
        r = self.r
        if r.random() < 0.1:
            return self.odd(machine)
        if name in {"address", "addr", "start", "cursor", "va"}:
            return self.address(machine)
        if name in {"page", "check_page", "migration", "hwpoison"}:
            return self.any_of("Page", machine)
        if name in {"vma", "dst", "src", "pvma"}:
            return self.any_of("Vma", machine)
        if name == "mm":
            return self.any_of("Process", machine)
        if name == "file":
            return self.any_of("File", machine)
        if name == "owner":
            return self.any_of(r.choice(OBJECTS), machine)
        if name == "addresses":
            return self.address(machine) // 4096 * 4096 + 4096 * np.array([r.randrange(24) for _ in range(r.randrange(40))], dtype=np.int64)
        if name in {"length", "size", "offset"}:
            return r.choice([4096 * r.randrange(24), 4096 * r.randrange(24), r.randrange(1 << 17), "16K", 0])
        if name in WORDS and not (self.lab and name == "flags" and r.random() < 0.6):
            return r.choice(WORDS[name])
        if name in {"flags", "set", "clear"}:
            return r.choice([0, 1, 2, r.getrandbits(12), r.choice(list(PageFlag)), r.choice(list(VmFlag)), r.choice(list(TTU))])
        if name in {"function", "rmap_one"}:
            return r.choice([None, lambda *_: r.choice([None, 0, 1, True, "x"]), lambda: 0, self.reenter])
        if name in {"write", "young", "dirty", "fixed", "sync", "exclusive", "is_locked", "on", "protnone", "special"}:
            return r.random() < 0.5
        if name == "swap":
            return (r.choice([0, 0, 1, 5]), r.randrange(300))
        return r.choice([0, 1, 2, 3, r.randrange(40), r.randrange(1000), r.choice(INTS)])

    def reenter(self, *_):
        return self.r.choice(self.machines).spawn().pid % 3

    # ------------------------------------------------------------ calls
    def target(self, machine):
        choice = self.r.random()
        if self.lab and choice < 0.35:
            return machine.lab
        if self.lab and choice < 0.6:
            return machine.rmap
        if choice < 0.68:
            return machine
        if choice < 0.72:
            return machine.sysctl
        kind = self.r.choice(["Process", "Process", "Process", *OBJECTS])
        return self.any_of(kind, machine) or machine

    def method(self, target):
        names = [n for n in dir(type(target)) if not n.startswith("_")]
        name = self.r.choice([*names, "__repr__", "__hash__", "__eq__", "__getitem__", "__setitem__", "__str__", "__len__", "__reduce__"])
        if name in LEFT_OUT and self.r.random() < 0.9:
            return "__repr__"
        # the workbench's private helpers are none of the API; what is rare but ends objects
        return name if name not in {"exit", "exec"} or self.r.random() < 0.3 else "__repr__"

    def arguments(self, function, machine):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            parameters = [inspect.Parameter("other", inspect.Parameter.POSITIONAL_ONLY)]
        args, named = [], {}
        for p in parameters:
            if p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} or (p.default is not p.empty and self.r.random() < 0.5):
                continue
            if p.kind == p.POSITIONAL_ONLY:
                args.append(self.argument(p.name, machine))
            else:
                named[p.name] = self.argument(p.name, machine)
        if self.r.random() < 0.01:
            named["nonsense"] = 1
        return args, named

    def write(self, text):
        os.write(self.log, (text + "\n").encode(errors="backslashreplace"))

    def step(self):
        machine = self.r.choice(self.machines)
        self.step_on(machine, self.target(machine))
        self.renew(machine)

    def close_all(self):
        """From now on everything belongs to a machine that is closed, the arguments too; what there was of them."""
        found = []
        for machine in self.machines:
            found += [(machine, x) for x in (machine, machine.lab, machine.rmap, machine.sysctl, machine.cost, *self.pool[machine])]
            machine.close()
        return found

    def step_on(self, machine, target):
        name = self.method(target)
        self.count += 1
        try:
            self.call(machine, target, name)
        except DOCUMENTED as error:
            if not self.lab and isinstance(error, FATAL_WHEN_PLAIN) and not machine.closed and machine.dead:
                raise
            self.write(f"    {type(error).__name__}: {str(error)[:120]}")
        except (AttributeError, KeyError):
            if type(target).__name__ != "Sysctl" and not name.startswith("__"):
                raise

    def call(self, machine, target, name):
        attribute = getattr(type(target), name, None)
        if not callable(attribute):
            self.write(f"{self.count} {type(target).__name__}.{name}")
            self.keep(machine, getattr(target, name))
            return
        args, named = self.arguments(getattr(target, name), machine)
        self.write(f"{self.count} {describe(target)}.{name}({describe(args)}, {describe(named)})")
        self.keep(machine, getattr(target, name)(*args, **named))

    def keep(self, machine, result):
        found = result if isinstance(result, list) else [result]
        pool = self.pool.get(machine, [])
        for x in found[:4]:
            if type(x).__name__ == "Machine" and x is not machine:
                x.check()
                x.close()
            elif type(x).__name__ in OBJECTS and getattr(x, "machine", None) is machine:
                pool.append(x)
        while len(pool) > 60:
            pool.pop(self.r.randrange(len(pool)))

    def renew(self, machine):
        """Check what can be checked; a machine that is dead, closed or full makes room for another."""
        over = machine.closed or machine.dead
        if not over and not self.lab and self.count % CHECK_EVERY == 0:
            self.write("    check")
            machine.check()
        if not over and self.lab and self.count % 64 == 0:
            self.look(machine)
        if over or self.count % 997 == 0 or (not over and sum(p.alive for p in machine.processes) > 12):
            if not over and self.lab:
                self.look(machine)
            self.write("    another machine")
            self.strange = [*self.strange[-40:], *self.r.sample(self.pool[machine], min(8, len(self.pool[machine])))]
            del self.pool[machine]
            at = self.machines.index(machine)
            self.machines[at] = self.machine()
            self.pool[self.machines[at]] = self.populate(self.machines[at])

    def look(self, machine):
        """Built by hand, a state may be wrong: it is said, and nothing worse happens."""
        for reader in (machine.check, machine.dump, machine.digest):
            self.write(f"    {reader.__name__}")
            try:
                reader()
            except DOCUMENTED as error:
                self.write(f"    {type(error).__name__}: {str(error)[:120]}")


def describe(value):
    """Short, and without asking the machine."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(describe, value)) + "]"
    if type(value).__name__ in OBJECTS:
        number = {"Process": "pid", "Vma": "serial", "File": "ino", "Page": "pfn"}[type(value).__name__]
        return f"{type(value).__name__}#{getattr(value, number)}"
    if isinstance(value, (types.FunctionType, types.MethodType, Machine)) or type(value).__name__ in {"Lab", "Rmap", "Sysctl"}:
        return type(value).__name__
    return repr(value)[:100].replace("\n", " ")


def main(seed, calls, log, mode):
    faulthandler.enable()
    fuzz = Fuzz(int(seed), mode != "plain", os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    gone = fuzz.close_all() if mode == "closed" else []
    for _ in range(int(calls)):
        if gone:
            fuzz.step_on(*fuzz.r.choice(gone))
        else:
            fuzz.step()


if __name__ == "__main__":
    main(*sys.argv[1:])
