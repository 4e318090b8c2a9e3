# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# What a lock does when it cannot be had, and BUG_ON: the paths that unwind to the face.
# Kernel: kernel/{mutex,lockdep}.c, lib/bug.c. Nothing waits: a deadlock, an order violation or a foreign holder ends the call.
from rmapemu.mm.types cimport *
from rmapemu.hw.costs cimport *


cdef void unwind(machine* m) noexcept nogil:
    m.trap_set = 0
    rm_longjmp(m.trap)


cdef void kernel_bug(machine* m, int kind, const char* condition, const char* function) noexcept nogil:
    m.bug.kind = kind
    m.bug.condition = condition
    m.bug.function = function
    m.dead = 1
    unwind(m)


cdef int highest_held(machine* m) noexcept nogil:
    cdef int c = NR_LOCK_CLASSES - 1
    while c > 0 and not m.held_mask >> c & 1:
        c -= 1
    return c


cdef void lock_bug(machine* m, int kind, int lock_class, int held_class, void* owner) noexcept nogil:
    m.bug.lock_class = lock_class
    m.bug.lock_held = held_class if held_class >= 0 else highest_held(m)
    m.bug.object = owner
    kernel_bug(m, kind, b"lock order" if kind == BUG_LOCK_ORDER else b"deadlock", b"lock")


cdef void lock_wait(machine* m, int lock_class, void* owner) noexcept nogil:
    if m.block_callback != NULL and m.block_callback(m, lock_class, owner) == 0:
        return
    m.bug.kind = BUG_WOULD_BLOCK
    m.bug.lock_class = lock_class
    m.bug.object = owner
    m.bug.condition = b"held by someone else"
    m.bug.function = b"lock_wait"
    release_all(m)
    unwind(m)


cdef uint32_t leaf_table_pfn(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    cdef costs_t cost = m.hw.cost
    cdef uint64_t* pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
    m.hw.cost = cost
    return 0 if pte == NULL else <uint32_t>(<uint64_t>(<uint8_t*>pte - m.hw.base) >> m.page_shift)


cdef bint ptl_of_other(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    cdef uint32_t pfn
    if mm.page_table_lock_other == PTL_ALL or va == NO_LEAF or not m.config.split_ptlocks:
        return mm.page_table_lock_other != PTL_NONE
    pfn = leaf_table_pfn(m, mm, va)
    return pfn != 0 and m.pages[pfn].private == LOCK_OTHER


cdef void ptl_wait(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    while ptl_of_other(m, mm, va):
        m.waited_va = NO_LEAF
        if va != NO_LEAF and m.config.split_ptlocks and mm.page_table_lock_other != PTL_ALL:
            m.waited_va = va >> m.hw.fmt.level[1].shift << m.hw.fmt.level[1].shift
        lock_wait(m, LOCK_PTL, mm)
        m.waited_va = NO_LEAF


cdef bint warn_on_once(machine* m, bint condition, int site) noexcept nogil:
    if condition:
        m.warnings += 1
        m.warned[site] = 1
    return condition


cdef void lock_enter_slowly(machine* m, int lock_class, void* owner, bint nested) noexcept nogil:
    """A lock of this class or of a later one is held already."""
    cdef held_lock* more
    cdef bint same_class = m.held_mask >> lock_class & 1
    if not nested:
        lock_bug(m, BUG_DEADLOCK if same_class and is_held(m, lock_class, owner) else BUG_LOCK_ORDER, lock_class, -1, owner)
    if not same_class:
        m.held[lock_class] = owner
        m.held_mask |= <uint32_t>1 << lock_class
        return
    BUG_ON(m, m.nr_held_more == MAX_LOCK_DEPTH, b"MAX_LOCK_DEPTH too low!", b"__lock_acquire")
    more = &m.held_more[m.nr_held_more]
    more.object = owner
    more.lock_class = lock_class
    m.nr_held_more += 1


cdef bint is_held(machine* m, int lock_class, void* owner) noexcept nogil:
    cdef uint32_t i
    if m.held_mask >> lock_class & 1 and m.held[lock_class] == owner:
        return True
    for i in range(m.nr_held_more):
        if m.held_more[i].object == owner and m.held_more[i].lock_class == <uint32_t>lock_class:
            return True
    return False


cdef void take_out(machine* m, uint32_t at) noexcept nogil:
    """Of held_more."""
    m.nr_held_more -= 1
    while at < m.nr_held_more:
        m.held_more[at] = m.held_more[at + 1]
        at += 1


cdef void lock_leave_slowly(machine* m, int lock_class, void* owner) noexcept nogil:
    """Others of the class may be held too: the last one taken moves up where the first one goes. What is not held is passed over."""
    cdef bint first = m.held_mask >> lock_class & 1 and m.held[lock_class] == owner
    cdef uint32_t i = m.nr_held_more
    while i > 0:
        i -= 1
        if m.held_more[i].lock_class == <uint32_t>lock_class and (first or m.held_more[i].object == owner):
            if first:
                m.held[lock_class] = m.held_more[i].object
            take_out(m, i)
            return
    if first:
        m.held_mask &= ~(<uint32_t>1 << lock_class)


cdef int locks_held(machine* m, held_lock* out) noexcept nogil:
    cdef int n = 0
    cdef int c
    cdef uint32_t i
    for c in range(NR_LOCK_CLASSES):
        if m.held_mask >> c & 1:
            out[n].lock_class = c
            out[n].object = m.held[c]
            n += 1
        for i in range(m.nr_held_more):
            if m.held_more[i].lock_class == <uint32_t>c:
                out[n] = m.held_more[i]
                n += 1
    return n


cdef void release_one(const held_lock* l) noexcept nogil:
    cdef mm_struct* mm
    if l.object == NULL:
        return
    if l.lock_class == LOCK_MMAP_SEM:
        mm = <mm_struct*>l.object
        mm.mmap_sem = 0 if mm.mmap_sem < 0 else mm.mmap_sem - 1
    elif l.lock_class == LOCK_PAGE:
        (<page*>l.object).flags &= ~<uint32_t>PG_locked
    elif l.lock_class == LOCK_I_MMAP:
        (<address_space*>l.object).i_mmap_lock = LOCK_FREE
    elif l.lock_class == LOCK_ANON_VMA:
        (<anon_vma*>l.object).lock = LOCK_FREE
    elif l.lock_class == LOCK_PTL:
        (<mm_struct*>l.object).page_table_lock = LOCK_FREE


cdef void release_all(machine* m) noexcept nogil:
    cdef held_lock held[NR_LOCK_CLASSES + MAX_LOCK_DEPTH]
    cdef int i
    cdef int n = locks_held(m, held)
    for i in range(n):
        release_one(&held[i])
    m.held_mask = 0
    m.nr_held_more = 0
