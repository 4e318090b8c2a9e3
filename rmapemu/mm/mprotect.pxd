# SPDX-License-Identifier: GPL-2.0-only
# Changing permissions. Kernel: mm/mprotect.c.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, mm_struct

cdef int sys_mprotect(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes, uint64_t prot) noexcept nogil
