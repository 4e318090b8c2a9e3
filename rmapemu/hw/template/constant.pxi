# SPDX-License-Identifier: GPL-2.0-only
# Compiled binding: the format is the unit's constant FORMAT, which the compiler folds away.
cdef extern from *:
    """
    #define FMT(h) (&FORMAT)
    """
    const pt_format* FMT(hw_t* h) noexcept nogil
