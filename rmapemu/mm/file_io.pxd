# SPDX-License-Identifier: GPL-2.0-only
# read(2) and write(2). Kernel: mm/filemap.c (generic_file_aio_read, generic_file_aio_write), mm/shmem.c (do_shmem_file_read,
# shmem_write_begin).
from libc.stdint cimport uint64_t, int64_t
from rmapemu.mm.types cimport machine, address_space

# Pages touched (may be fewer where the file ends or memory runs out after the first), or -errno.
cdef int64_t generic_file_read(machine* m, address_space* a, uint64_t pos, uint64_t bytes) noexcept nogil
# token: the content that each page written to has afterwards.
cdef int64_t generic_file_write(machine* m, address_space* a, uint64_t pos, uint64_t bytes, uint64_t token) noexcept nogil
