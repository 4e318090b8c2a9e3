# SPDX-License-Identifier: GPL-2.0-only
# Interpreted binding: the format is read at run time, from the machine that is passed in.
cdef extern from *:
    """
    #define FMT(h) ((h)->fmt)
    """
    const pt_format* FMT(hw_t* h) noexcept nogil
