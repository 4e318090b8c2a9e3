# SPDX-License-Identifier: GPL-2.0-only
# A compiled arch: its format.pxi comes first.
include "rmapemu/hw/template/constant.pxi"
include "rmapemu/hw/template/walker.pxi"

cdef class Compiled(Backend):
    """The MMU of this folder."""

    def __cinit__(self, str name, capabilities):
        self.name = name
        self.capabilities = frozenset(capabilities)
        self.format_ = FORMAT
        fill_ops(&self.ops)
