# SPDX-License-Identifier: GPL-2.0-only
# The workbench.
from rmapemu.machine.lab_lock cimport LabLock

cdef class Lab(LabLock):
    pass
