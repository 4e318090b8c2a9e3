# SPDX-License-Identifier: GPL-2.0-only
# A compiled arch: its format.pxi comes first.
include "rmapemu/hw/template/constant.pxi"
include "rmapemu/hw/template/walker.pxi"
from rmapemu.hw.convert cimport capabilities_of

cdef class Compiled(Backend):
    """The MMU of this folder. `capabilities` adds to those that the format implies."""

    def __cinit__(self, str name not None, capabilities=()):
        self.name = name
        self.format_ = FORMAT
        self.capabilities = capabilities_of(&FORMAT) | frozenset(capabilities)
        fill_ops(&self.ops)
