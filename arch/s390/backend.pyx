# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, preliminary_late_includes_cy28=True
# (late includes: FORMAT must come after struct pt_format in the generated C)
include "rmapemu/hw/template/imports.pxi"
include "format.pxi"
include "rmapemu/hw/template/compiled.pxi"

ARCH = Compiled("s390")
