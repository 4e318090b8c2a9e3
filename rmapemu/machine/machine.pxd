# SPDX-License-Identifier: GPL-2.0-only
# The machine as users have it.
from rmapemu.machine.view cimport MachineView

cdef class Machine(MachineView):
    pass
