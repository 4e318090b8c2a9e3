# SPDX-License-Identifier: GPL-2.0-only
# Counters of references and mappings. Kernel: arch/x86/include/asm/atomic.h (v3.2), atomic_inc and atomic_dec.
# Like an atomic_t, and unlike a C int, they wrap: a program can lead page->_count there (CVE-2019-11487), and the workbench
# sets counts to anything. No barrier: one thread.
from libc.stdint cimport int32_t, uint32_t


cdef inline void atomic_inc(int32_t* v) noexcept nogil:
    v[0] = <int32_t>(<uint32_t>v[0] + 1)


cdef inline void atomic_dec(int32_t* v) noexcept nogil:
    v[0] = <int32_t>(<uint32_t>v[0] - 1)
