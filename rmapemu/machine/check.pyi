# SPDX-License-Identifier: GPL-2.0-only
from rmapemu.machine.machine import Machine

def check_machine(machine: Machine) -> None: ...
