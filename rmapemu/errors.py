# SPDX-License-Identifier: GPL-2.0-only
"""Every exception of the package's own. Errors with an errno are also ``OSError``; bad arguments are ``ValueError``/``TypeError``."""

from __future__ import annotations

import errno

__all__ = [
    "BusError",
    "BusyError",
    "CheckError",
    "GoneError",
    "KernelBug",
    "LockOrderError",
    "OutOfMemory",
    "RmapemuError",
    "SegmentationFault",
    "ToolMissing",
    "TraceError",
    "WouldBlock",
]


class RmapemuError(Exception):
    """What all exceptions of this package have in common."""


class KernelBug(RmapemuError):
    """BUG_ON, VM_BUG_ON, a deadlock or an oops: the machine is dead from here on: readable, not usable.

    ``kind`` is ``"BUG_ON"``, ``"VM_BUG_ON"``, ``"deadlock"``, ``"oops"`` or ``"lock order"``; ``condition`` and ``function`` are the
    kernel's text of the condition and the kernel function that found it.
    """

    def __init__(self, kind: str, condition: str, function: str) -> None:
        super().__init__(kind, condition, function)
        self.kind = kind
        self.condition = condition
        self.function = function

    def __str__(self) -> str:
        return f"{self.kind}: {self.condition} in {self.function}"


class LockOrderError(KernelBug):
    """A lock was taken while one that comes after it in mm/rmap.c's order was held. ``taken`` and ``held`` are their names."""

    def __init__(self, taken: str, held: str) -> None:
        super().__init__("lock order", f"{taken} taken under {held}", "lock_enter")
        self.args = (taken, held)
        self.taken = taken
        self.held = held


class WouldBlock(RmapemuError):
    """A blocking lock (or a migration entry) is held by someone else, and no callback freed it. ``owner`` says what has the lock."""

    def __init__(self, lock: str, owner: str) -> None:
        super().__init__(lock, owner)
        self.lock = lock
        self.owner = owner

    def __str__(self) -> str:
        return f"{self.lock} of {self.owner} is held by someone else"


class SegmentationFault(RmapemuError):
    """SIGSEGV. ``reason`` is ``"MAPERR"`` (nothing is mapped there) or ``"ACCERR"`` (not permitted); ``kind`` is r, w or x."""

    def __init__(self, address: int, reason: str, pid: int, kind: str) -> None:
        super().__init__(address, reason, pid, kind)
        self.address = address
        self.reason = reason
        self.pid = pid
        self.kind = kind

    def __str__(self) -> str:
        why = "nothing is mapped there" if self.reason == "MAPERR" else "not permitted"
        return f"SIGSEGV ({self.reason}) at {self.address:#x}, access {self.kind!r} of process {self.pid}: {why}"


class BusError(RmapemuError):
    """SIGBUS. ``reason`` is ``"ADRERR"`` (past the end of the file) or ``"HWPOISON"`` (the frame is poisoned)."""

    def __init__(self, address: int, reason: str, pid: int, kind: str) -> None:
        super().__init__(address, reason, pid, kind)
        self.address = address
        self.reason = reason
        self.pid = pid
        self.kind = kind

    def __str__(self) -> str:
        why = "past the end of the file" if self.reason == "ADRERR" else "the frame is poisoned"
        return f"SIGBUS ({self.reason}) at {self.address:#x}, access {self.kind!r} of process {self.pid}: {why}"


class OutOfMemory(RmapemuError, OSError):
    """No frame could be had, not even by reclaim. ``errno`` is ENOMEM; ``lists`` tells the state of the free and LRU lists."""

    def __init__(self, lists: str) -> None:
        OSError.__init__(self, errno.ENOMEM, f"out of memory: {lists}")
        self.lists = lists

    def __reduce__(self) -> tuple[type[OutOfMemory], tuple[str]]:
        return type(self), (self.lists,)


class GoneError(RmapemuError, LookupError):
    """A handle's object no longer exists in its machine: a process that exited, a VMA that was unmapped or merged, a closed file."""


class BusyError(RmapemuError, RuntimeError):
    """The machine is running an operation (in another thread, or one that waits for a Python function): one at a time."""


class CheckError(RmapemuError, AssertionError):
    """``Machine.check()`` found a contradiction: ``what`` is wrong, ``where``."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what, where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class TraceError(RmapemuError, ValueError):
    """A trace that cannot be read: truncated, corrupt, empty, or not of its format. The text names file, line or byte."""


class ToolMissing(RmapemuError, OSError):
    """A program that has to be installed for this is not (errno ENOENT, filename its name)."""
