# SPDX-License-Identifier: GPL-2.0-only
# Between struct pt_format and the Format dataclass.
from rmapemu.hw.format cimport pt_format

cdef object fill_format(pt_format* f, object source)        # source: a Format; raises OverflowError where a member does not fit
cdef object capabilities_of(const pt_format* f)          # what the bits say that the MMU can do
