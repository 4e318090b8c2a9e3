# SPDX-License-Identifier: GPL-2.0-only
from typing import Any

from rmapemu.machine.machine import Machine

def rmap_state(machine: Machine) -> dict[str, Any]: ...
