# SPDX-License-Identifier: GPL-2.0-only
# Background reclaim. Kernel: mm/vmscan.c of v3.2, kswapd.
from rmapemu.mm.types cimport machine

cdef void wakeup_kswapd(machine* m, int zone_idx, int order) noexcept nogil          # below the low mark: runs kswapd to its end
