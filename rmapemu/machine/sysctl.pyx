# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The knobs of /proc/sys/vm. Kernel: kernel/sysctl.c (vm_table).
# Differs: drop_caches drops page cache only, for there are no dentries and inodes to drop.
from libc.stdint cimport uint64_t, int64_t
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.filemap cimport invalidate_mapping_pages
from rmapemu.mm.page_alloc cimport setup_per_zone_wmarks
from rmapemu.mm.types cimport *

from rmapemu.machine.names import SYSCTL
from rmapemu.machine.sizes import meant, parse_int

_LIMITS = {"swappiness": 100, "overcommit_memory": 2, "dirty_ratio": 100, "dirty_background_ratio": 100, "page_cluster": 31,
"drop_caches": 3}


cdef int64_t op_wmarks(machine* m, const uint64_t* a) noexcept nogil:
    setup_per_zone_wmarks(m)
    return 0


cdef int64_t op_drop_caches(machine* m, const uint64_t* a) noexcept nogil:
    cdef address_space* f = <address_space*>m.kmem[KMEM_MAPPING].base
    cdef uint64_t i, n = m.kmem[KMEM_MAPPING].used_bytes // sizeof(address_space)
    for i in range(1, n):
        if f[i].refs != 0 and f[i].kind == FILE_REGULAR:
            invalidate_mapping_pages(m, &f[i], 0, <uint64_t>-1)
    return 0


cdef class Sysctl:
    """/proc/sys/vm: ``sysctl.swappiness``, ``sysctl["page-cluster"]``; iteration gives the names, ``dict()`` their values too.

    >>> from rmapemu import Machine
    >>> m = Machine(memory="16M")
    >>> m.sysctl.swappiness = 100
    >>> m.sysctl["swappiness"], m.sysctl["page-cluster"]
    (100, 3)
    >>> dict(m.sysctl)["page-cluster"]
    3
    """
    cdef Machine machine

    def __init__(self, Machine machine not None):
        self.machine = machine

    def __getitem__(self, str name):
        self.machine.readable()
        return (<uint64_t*>&self.machine.m.sysctl)[<int>_number(name)]

    def __setitem__(self, str name, value):
        cdef int number = _number(name)
        self.machine.usable()
        name = SYSCTL[number]
        shown = _shown(name)
        value = parse_int(value, shown)
        if not 0 <= value <= _LIMITS.get(name, (1 << 63) - 1):
            raise ValueError(f"{shown}={value}: expected 0 to {_LIMITS.get(name, 'any positive number')}")
        if name == "min_free_kbytes" and value << 10 >= <uint64_t>self.machine.m.nr_frames << self.machine.m.page_shift:
            raise ValueError(f"min_free_kbytes={value}: more than there is memory")
        (<uint64_t*>&self.machine.m.sysctl)[number] = value
        if name == "min_free_kbytes":
            self.machine.call(op_wmarks, NULL)
        elif name == "drop_caches" and value & 1:
            self.machine.call(op_drop_caches, NULL)

    def __getattr__(self, str name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __setattr__(self, str name, value):
        try:
            self[name] = value
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self):
        return map(_shown, SYSCTL)

    def keys(self):
        """The names as /proc/sys/vm has them."""
        return list(self)

    def __dir__(self):
        return ["keys", *SYSCTL]

    def __repr__(self):
        return "Sysctl(" + ", ".join([f"{name}={self[name]}" for name in SYSCTL]) + ")"


def _shown(str name):
    """As /proc/sys/vm has it: it has one name with a hyphen."""
    return name.replace("page_cluster", "page-cluster")


def _number(str name):
    """Number of a knob in sysctl_t."""
    plain = name.replace("-", "_")
    if plain not in SYSCTL:
        near = meant(name, map(_shown, SYSCTL))
        raise KeyError(f"no sysctl {name!r}{'; ' + near if near else ' '}(known: {', '.join(map(_shown, SYSCTL))})")
    return SYSCTL.index(plain)
