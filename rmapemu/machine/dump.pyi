# SPDX-License-Identifier: GPL-2.0-only
from typing import Any

from rmapemu.machine.machine import Machine

def dump_machine(machine: Machine) -> dict[str, Any]: ...
def digest_machine(machine: Machine) -> str: ...
