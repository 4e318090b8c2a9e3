# SPDX-License-Identifier: GPL-2.0-only
# A leaf entry, decoded for people.
from libc.stdint cimport uint64_t
from rmapemu.hw.format cimport pt_format

cdef object decode_pte(const pt_format* f, uint64_t e)      # a Pte
