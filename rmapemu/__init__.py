# SPDX-License-Identifier: GPL-2.0-only
"""A Linux machine's memory management in a Python object: real page-table bits, a real reverse map, no kernel.

Importing this package loads nothing else: each public name is imported when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own, without the time that loading typing takes: till the command runs, Ctrl-C is Python's to answer
if TYPE_CHECKING:
    from typing import Any

_PUBLIC = {
    "BusError": "rmapemu.errors",
    "BusyError": "rmapemu.errors",
    "CheckError": "rmapemu.errors",
    "GoneError": "rmapemu.errors",
    "KernelBug": "rmapemu.errors",
    "LockOrderError": "rmapemu.errors",
    "Machine": "rmapemu.machine",
    "MapFlag": "rmapemu.machine",
    "OutOfMemory": "rmapemu.errors",
    "PageFlag": "rmapemu.machine",
    "Prot": "rmapemu.machine",
    "RmapemuError": "rmapemu.errors",
    "SegmentationFault": "rmapemu.errors",
    "Swap": "rmapemu.machine",
    "TTU": "rmapemu.machine",
    "TraceError": "rmapemu.errors",
    "VmFlag": "rmapemu.machine",
    "WouldBlock": "rmapemu.errors",
    "replay": "rmapemu.sim",
}
"""Public name -> the module that defines it."""

__all__ = [*_PUBLIC, "__version__", "get_include"]


def get_include() -> str:
    """Folder for Cython's include path, so that an arch outside this tree can ``cimport rmapemu.hw...``.

    >>> import os
    >>> os.path.exists(os.path.join(get_include(), "rmapemu", "hw", "__init__.py"))
    True
    """
    from pathlib import Path

    return str(Path(__file__).resolve().parent.parent)


def _version() -> str:
    """Version of the installed distribution, or of the last build where none is installed (a bare source tree)."""
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rmapemu")
    except PackageNotFoundError:
        return str(import_module("rmapemu._version").version)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        value: Any = _version()
    elif name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
    else:
        raise AttributeError(f"module 'rmapemu' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
