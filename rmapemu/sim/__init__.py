# SPDX-License-Identifier: GPL-2.0-only
"""Replay of traces on whole machines: `replay`, and its `Result`. Each name is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmapemu.sim.result import Result, Setup, Timing
    from rmapemu.sim.run import replay, replay_all

_PUBLIC = {
    "Result": "rmapemu.sim.result",
    "Setup": "rmapemu.sim.result",
    "Timing": "rmapemu.sim.result",
    "replay": "rmapemu.sim.run",
    "replay_all": "rmapemu.sim.run",
}
"""Public name -> the module that defines it."""

__all__ = ["Result", "Setup", "Timing", "replay", "replay_all"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rmapemu.sim' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
