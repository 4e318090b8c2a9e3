# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, preliminary_late_includes_cy28=True
# Models: an MMU whose format is known only at run time: the walker's source, reading hw_t.fmt.
# Kernel equivalent: none.
# Differs: from a compiled arch in speed alone.
include "rmapemu/hw/template/imports.pxi"
include "rmapemu/hw/template/runtime.pxi"
include "rmapemu/hw/template/walker.pxi"
from rmapemu.hw.convert cimport fill_format, capabilities_of


cdef class Interpreted(Backend):
    """A backend for a `Format`, without a compiler. ``FormatError`` where the format cannot be an MMU's.

    `name` defaults to the format's; `capabilities` adds to those that the format implies.
    """

    def __init__(self, format, name=None, capabilities=()):
        format.validate()
        fill_format(&self.format_, format)
        fill_ops(&self.ops)
        self.name = str(format.name if name is None else name)
        self.capabilities = capabilities_of(&self.format_) | frozenset(capabilities)
