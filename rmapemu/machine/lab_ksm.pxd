# SPDX-License-Identifier: GPL-2.0-only
# The workbench for KSM pages: stable nodes and their rmap_items.
from rmapemu.machine.lab_pte cimport LabPte
from rmapemu.mm.types cimport rmap_item, stable_node

cdef class LabKsm(LabPte):
    cdef stable_node* _node(self, object serial) except NULL        # the live one of that serial number
    cdef rmap_item* _item(self, object serial) except NULL
