# SPDX-License-Identifier: GPL-2.0-only
# The workbench for mmu notifiers and memory cgroups.
from rmapemu.machine.lab_ksm cimport LabKsm

cdef class LabNotify(LabKsm):
    cdef object _group(self, object group)      # its number, checked
