# SPDX-License-Identifier: GPL-2.0-only
# What there is to see of a machine.
from rmapemu.machine.base cimport MachineBase

cdef class MachineView(MachineBase):
    pass
