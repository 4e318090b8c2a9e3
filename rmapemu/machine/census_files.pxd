# SPDX-License-Identifier: GPL-2.0-only
# check()'s part for files and swap; see census.pxd.
from rmapemu.machine.census cimport census
from rmapemu.mm.types cimport machine

cdef int check_files(census* c, machine* m) noexcept nogil          # page caches, i_mmap; after check_mms
cdef int check_swap(census* c, machine* m) noexcept nogil           # swap_map, swap cache; after check_files
