# SPDX-License-Identifier: GPL-2.0-only
# Nonlinear mappings of a file. Kernel: mm/fremap.c.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, mm_struct

# The pages [start, start + size) of one shared mapping show the file from pgoff (in pages) on: 0, -EINVAL, -ENOMEM.
# flags: MAP_NONBLOCK leaves them to faults.
cdef int sys_remap_file_pages(machine* m, mm_struct* mm, uint64_t start, uint64_t size, uint64_t pgoff, uint64_t flags) noexcept nogil
