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


cdef bint warn_on_once(machine* m, bint condition, int site) noexcept nogil:
    if condition:
        m.warnings += 1
        m.warned[site] = 1
    return condition


cdef void release_one(held_lock* l) noexcept nogil:
    cdef mm_struct* mm
    if l.lock_class == LOCK_MMAP_SEM:
        mm = <mm_struct*>l.object
        mm.mmap_sem = 0 if l.mode else mm.mmap_sem - 1
    elif l.lock_class == LOCK_PAGE:
        (<page*>l.object).flags &= ~<uint32_t>PG_locked
    elif l.lock_class == LOCK_I_MMAP:
        (<address_space*>l.object).i_mmap_lock = LOCK_FREE
    elif l.lock_class == LOCK_ANON_VMA:
        (<anon_vma*>l.object).lock = LOCK_FREE
    elif l.lock_class == LOCK_PTL:
        (<mm_struct*>l.object).page_table_lock = LOCK_FREE


cdef void release_all(machine* m) noexcept nogil:
    while m.held_top:
        m.held_top -= 1
        if m.held_stack[m.held_top].object != NULL:
            release_one(&m.held_stack[m.held_top])
    m.held_mask = 0


cdef void held_remove(machine* m, int lock_class, void* owner) noexcept nogil:
    """A lock that was not the last one taken."""
    cdef uint32_t i = m.held_top
    cdef uint32_t mask
    while i > 0 and (m.held_stack[i - 1].object != owner or m.held_stack[i - 1].lock_class != lock_class):
        i -= 1
    if i == 0:
        return
    mask = m.held_stack[i - 1].mask
    while i < m.held_top:
        m.held_stack[i - 1] = m.held_stack[i]
        m.held_stack[i - 1].mask = mask
        mask |= <uint32_t>1 << m.held_stack[i - 1].lock_class
        i += 1
    m.held_top -= 1
    m.held_mask = mask
