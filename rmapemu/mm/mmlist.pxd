# SPDX-License-Identifier: GPL-2.0-only
# init_mm.mmlist: the mms that have swap entries, for swapoff. Kernel: list_add(&mm->mmlist, ...) in rmap.c, memory.c; mmput.
from rmapemu.mm.lock cimport LOCK_MMLIST, spin_lock, spin_unlock
from rmapemu.mm.types cimport machine, mm_struct

cdef inline bint on_mmlist(const machine* m, const mm_struct* mm) noexcept nogil:
    return mm.mmlist_prev != NULL or m.mmlist_head == mm

cdef inline void mmlist_link(machine* m, mm_struct* mm, mm_struct* prev) noexcept nogil:
    """Behind prev, or at the head where prev is NULL or on no list; unless it is there by the time that the lock is had."""
    spin_lock(m, LOCK_MMLIST)
    if not on_mmlist(m, mm):
        if prev != NULL and not on_mmlist(m, prev):
            prev = NULL
        mm.mmlist_prev = prev
        mm.mmlist_next = prev.mmlist_next if prev != NULL else m.mmlist_head
        if prev != NULL:
            prev.mmlist_next = mm
        else:
            m.mmlist_head = mm
        if mm.mmlist_next != NULL:
            mm.mmlist_next.mmlist_prev = mm
    spin_unlock(m, LOCK_MMLIST)

cdef inline void mmlist_add(machine* m, mm_struct* mm) noexcept nogil:
    """To the head, if it is not on the list yet."""
    if not on_mmlist(m, mm):
        mmlist_link(m, mm, NULL)

cdef inline void mmlist_add_behind(machine* m, mm_struct* mm, mm_struct* parent) noexcept nogil:
    """fork: behind the parent, which migration entries alone may have left off the list."""
    if not on_mmlist(m, mm):
        mmlist_link(m, mm, parent)

cdef inline bint mmlist_del(machine* m, mm_struct* mm) noexcept nogil:
    """Was it on the list?"""
    if not on_mmlist(m, mm):
        return False
    spin_lock(m, LOCK_MMLIST)
    if mm.mmlist_prev != NULL:
        mm.mmlist_prev.mmlist_next = mm.mmlist_next
    else:
        m.mmlist_head = mm.mmlist_next
    if mm.mmlist_next != NULL:
        mm.mmlist_next.mmlist_prev = mm.mmlist_prev
    mm.mmlist_next = NULL
    mm.mmlist_prev = NULL
    spin_unlock(m, LOCK_MMLIST)
    return True
