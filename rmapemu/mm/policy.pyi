# SPDX-License-Identifier: GPL-2.0-only
from typing import final

@final
class Policy:
    """A policy that can be plugged into a machine. Immutable; the entry points of rmapemu.reclaim name such objects."""

    name: str
    wants_touched: bool
    wants_future: bool

V3_2: Policy
LRU: Policy
FIFO: Policy
CLOCK: Policy
RANDOM: Policy
OPT: Policy
POLICIES: dict[str, Policy]
NAMES: tuple[str, ...]
