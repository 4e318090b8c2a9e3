# SPDX-License-Identifier: GPL-2.0-only
# The functions of mm/rmap.c by their names.
from rmapemu.machine.base cimport op_t
from rmapemu.machine.rmap_where cimport RmapWhere

cdef class Rmap(RmapWhere):
    cdef object _add(self, op_t op, object page, object vma, object address)
    cdef object _unmap(self, op_t op, object page, object flags)
    cdef object _used(self, op_t op, object page, object memcg, object vm_flags)
    cdef object _walk(self, op_t op, object page, object rmap_one, object arg)
