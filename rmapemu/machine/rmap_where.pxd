# SPDX-License-Identifier: GPL-2.0-only
# The functions of mm/rmap.c that say where a page is, by their names.
from rmapemu.machine.rmap_link cimport RmapLink

cdef class RmapWhere(RmapLink):
    cdef object _needs(self, str config)        # raises where the machine is without that CONFIG_ option
