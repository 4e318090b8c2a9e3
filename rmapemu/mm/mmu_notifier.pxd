# SPDX-License-Identifier: GPL-2.0-only
# Whoever keeps a second set of page tables for an mm is told what happens to the first. Kernel: include/linux/mmu_notifier.h.
# machine.notifier does the telling (m.lab.notifier registers); without any notifier nothing is called and nothing counted.
from libc.stdint cimport uint64_t
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.hw.pte cimport pte_young
from rmapemu.mm.types cimport *

cdef inline int mmu_notifier_clear_flush_young(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    """The young bits that they saw and cleared, or-ed."""
    if rm_unlikely(mm.notifiers != 0):
        return m.notifier(m, mm, NOTIFY_CLEAR_FLUSH_YOUNG, va, va)
    return 0

cdef inline void mmu_notifier_invalidate_page(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    if rm_unlikely(mm.notifiers != 0):
        m.notifier(m, mm, NOTIFY_INVALIDATE_PAGE, va, va)

cdef inline void mmu_notifier_invalidate_range_start(machine* m, mm_struct* mm, uint64_t va, uint64_t end) noexcept nogil:
    if rm_unlikely(mm.notifiers != 0):
        m.notifier(m, mm, NOTIFY_INVALIDATE_RANGE_START, va, end)

cdef inline void mmu_notifier_invalidate_range_end(machine* m, mm_struct* mm, uint64_t va, uint64_t end) noexcept nogil:
    if rm_unlikely(mm.notifiers != 0):
        m.notifier(m, mm, NOTIFY_INVALIDATE_RANGE_END, va, end)

cdef inline void mmu_notifier_release(machine* m, mm_struct* mm) noexcept nogil:
    """The address space ends: they are told and forgotten."""
    if rm_unlikely(mm.notifiers != 0):
        m.notifier(m, mm, NOTIFY_RELEASE, 0, 0)
        mm.notifiers = 0
        m.nr_notified -= 1

cdef inline int ptep_clear_flush_young_notify(machine* m, mm_struct* mm, uint64_t va, uint64_t* pte) noexcept nogil:
    """Old young bit, of the entry or of any notifier."""
    cdef int young = m.hw.ops.clear_flush_young(&m.hw, &mm.hw, va, pte) if pte_young(m.hw.fmt, pte[0]) else 0
    return young | mmu_notifier_clear_flush_young(m, mm, va)

cdef inline uint64_t ptep_clear_flush_notify(machine* m, mm_struct* mm, uint64_t va, uint64_t* pte) noexcept nogil:
    """The old entry."""
    cdef uint64_t old = m.hw.ops.clear_flush(&m.hw, &mm.hw, va, pte)
    mmu_notifier_invalidate_page(m, mm, va)
    return old
