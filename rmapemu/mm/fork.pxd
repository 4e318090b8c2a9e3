# SPDX-License-Identifier: GPL-2.0-only
# Address spaces come and go. Kernel: kernel/fork.c (mm_alloc, dup_mm, dup_mmap, mmput), fs/exec.c.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.mm.types cimport machine, mm_struct

cdef mm_struct* mm_alloc(machine* m) noexcept nogil                     # NULL: -ENOMEM
cdef mm_struct* dup_mm(machine* m, mm_struct* old) noexcept nogil       # fork: NULL: -ENOMEM, nothing left behind
cdef void mmput(machine* m, mm_struct* mm) noexcept nogil               # the last user is gone: exit_mmap, mmlist, mmdrop
# a fresh address space with a stack built at the top and shifted (setup_arg_pages); 0, -ENOMEM with the old one intact
cdef int exec_mmap(machine* m, mm_struct* mm, uint64_t stack_shift) noexcept nogil
