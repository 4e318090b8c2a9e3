# SPDX-License-Identifier: GPL-2.0-only
from rmapemu.machine.machine import Machine

class Bench:
    @property
    def machine(self) -> Machine: ...
    def __init__(self, machine: Machine) -> None: ...
