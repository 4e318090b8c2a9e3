# SPDX-License-Identifier: GPL-2.0-only
# The workbench for locks.
from libc.stdint cimport uint32_t
from rmapemu.machine.lab_notify cimport LabNotify

cdef class LabLock(LabNotify):
    cdef uint32_t* _mutex(self, str lock, object owner) except NULL     # the state of a mutex
    cdef bint _ptl(self, str lock, object owner, bint hold) except -1   # was it held by someone else?
    cdef bint _single(self, str lock, object owner, bint hold) except -1    # a lock that is one of a kind: done with it?
