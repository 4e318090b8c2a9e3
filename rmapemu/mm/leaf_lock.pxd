# SPDX-License-Identifier: GPL-2.0-only
# A spinlock around straight-line code that takes no other lock and cannot be left early: checked against the order and counted,
# but not noted as held, for nobody could see it. A third of the work of spin_lock/spin_unlock; there is no unlock.
# Kernel: lru_lock, swap_lock, tree_lock where they are taken so.
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.lock cimport lock_bug, lock_wait
from rmapemu.mm.types cimport BUG_LOCK_ORDER, machine

cdef inline void leaf_lock(machine* m, int lock_class) noexcept nogil:
    if rm_unlikely(m.held_mask >> lock_class != 0):
        lock_bug(m, BUG_LOCK_ORDER, lock_class, -1, NULL)
    while rm_unlikely(m.other_mask >> lock_class & 1):
        lock_wait(m, lock_class, NULL)
    m.hw.cost.locks[lock_class] += 1
