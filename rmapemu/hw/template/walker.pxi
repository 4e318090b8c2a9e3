# SPDX-License-Identifier: GPL-2.0-only
# The one walker, for any format: include after constant.pxi or runtime.pxi, which say what FMT(h) is.
include "rmapemu/hw/template/walk.pxi"
include "rmapemu/hw/template/tlb.pxi"
include "rmapemu/hw/template/access.pxi"
include "rmapemu/hw/template/halves.pxi"
include "rmapemu/hw/template/tables.pxi"
include "rmapemu/hw/template/entries.pxi"
include "rmapemu/hw/template/runs.pxi"
include "rmapemu/hw/template/keys.pxi"
include "rmapemu/hw/template/huge.pxi"
include "rmapemu/hw/template/fill.pxi"
