# SPDX-License-Identifier: GPL-2.0-only
# The workbench.
from libc.stdint cimport uint32_t
from rmapemu.machine.lab_notify cimport LabNotify

cdef class Lab(LabNotify):
    cdef bint _single(self, str lock, object owner, bint hold) except -1    # a lock that is one of a kind: done with it?
    cdef uint32_t* _mutex(self, str lock, object owner) except NULL     # its state word
