# SPDX-License-Identifier: GPL-2.0-only
# The parts of a dump that m.lab.state() has too: serial numbers, pids and frame numbers in the order of the machine's lists.
from rmapemu.mm.types cimport *

cdef object mmlist_of(machine* m)
cdef object lru_of(machine* m, zone* z, int lru)
cdef object i_mmap_of(address_space* a)
cdef object nonlinear_of(address_space* a)
