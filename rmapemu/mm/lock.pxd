# SPDX-License-Identifier: GPL-2.0-only
# Locks as state: taken, counted and checked against the order of the comment that opens mm/rmap.c; and BUG_ON.
# Kernel: include/linux/{mutex,spinlock,rwsem,pagemap,bug}.h. One thread: nothing ever waits. A lock held by "someone else"
# (m.lab.hold) makes a trylock fail; a blocking lock then runs block_callback or unwinds with WouldBlock.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.hw.costs cimport *
from rmapemu.hw.ops cimport rm_unlikely
from rmapemu.mm.types cimport *

cdef extern from *:
    """
    #include <setjmp.h>
    #define rm_setjmp(buffer) _setjmp(*(jmp_buf*)(buffer))
    #define rm_longjmp(buffer) longjmp(*(jmp_buf*)(buffer), 1)
    _Static_assert(sizeof(jmp_buf) <= 512, "machine.trap holds a jmp_buf");
    """
    int rm_setjmp(uint8_t* buffer) noexcept nogil       # in the face, before each call into mm/: 0 now, 1 after a KernelBug
    void rm_longjmp(uint8_t* buffer) noexcept nogil

cdef enum:
    NO_LEAF = 0xffffffffffffffff    # for an address: not the lock of a leaf table

# Records the bug and unwinds to the face; does not return.
cdef void kernel_bug(machine* m, int kind, const char* condition, const char* function) noexcept nogil
cdef void lock_bug(machine* m, int kind, int lock_class, int held_class, void* owner) noexcept nogil
# Waits for a lock that someone else holds: returns when the callback freed it (state 0), else unwinds.
cdef void lock_wait(machine* m, int lock_class, void* owner) noexcept nogil
# The same for page_table_lock (NO_LEAF) or the lock of the leaf table that has va.
cdef void ptl_wait(machine* m, mm_struct* mm, uint64_t va) noexcept nogil
cdef uint32_t leaf_table_pfn(machine* m, mm_struct* mm, uint64_t va) noexcept nogil     # the frame of that table; 0: there is none
# WARN_ON: counted and kept. `site` is an index into machine.warned for WARN_ON_ONCE.
cdef bint warn_on_once(machine* m, bint condition, int site) noexcept nogil
# Forgets what the abandoned operation held: the lock states it took become free (after an unwinding that leaves the machine alive).
cdef void release_all(machine* m) noexcept nogil
# The less simple half of the two functions below.
cdef void lock_enter_slowly(machine* m, int lock_class, void* owner, bint nested) noexcept nogil
cdef void lock_leave_slowly(machine* m, int lock_class, void* owner) noexcept nogil
# What the running or abandoned operation holds, by lock class: how many. `out` has room for NR_LOCK_CLASSES + MAX_LOCK_DEPTH.
cdef int locks_held(machine* m, held_lock* out) noexcept nogil

cdef inline void BUG_ON(machine* m, bint condition, const char* text, const char* function) noexcept nogil:
    if rm_unlikely(condition):
        kernel_bug(m, BUG_BUG_ON, text, function)

cdef inline void VM_BUG_ON(machine* m, bint condition, const char* text, const char* function) noexcept nogil:
    if rm_unlikely(condition) and m.config.debug_vm:
        kernel_bug(m, BUG_VM_BUG_ON, text, function)

cdef inline void lock_enter(machine* m, int lock_class, void* owner, bint nested) noexcept nogil:
    """Checks the order and notes the lock as held. A trylock and a named nesting pass nested=True."""
    cdef uint32_t held = m.held_mask
    m.hw.cost.locks[lock_class] += 1
    if rm_unlikely(held >> lock_class != 0):
        lock_enter_slowly(m, lock_class, owner, nested)
    else:
        m.held[lock_class] = owner
        m.held_mask = held | <uint32_t>1 << lock_class

cdef inline void lock_leave(machine* m, int lock_class, void* owner) noexcept nogil:
    if rm_unlikely(m.nr_held_more != 0 or m.held[lock_class] != owner):
        lock_leave_slowly(m, lock_class, owner)
    else:
        m.held_mask &= ~(<uint32_t>1 << lock_class)

# ---------------------------------------------------------------- mutexes with a state word (anon_vma root, i_mmap_mutex, page_table_lock)
cdef inline void mutex_lock(machine* m, uint32_t* state, int lock_class, void* owner) noexcept nogil:
    while rm_unlikely(state[0] != LOCK_FREE):
        if state[0] == LOCK_HELD:
            lock_bug(m, BUG_DEADLOCK, lock_class, lock_class, owner)
        lock_wait(m, lock_class, owner)
    lock_enter(m, lock_class, owner, False)
    state[0] = LOCK_HELD

cdef inline bint mutex_trylock(machine* m, uint32_t* state, int lock_class, void* owner) noexcept nogil:
    if rm_unlikely(state[0] != LOCK_FREE):
        m.hw.cost.trylock_failed[lock_class] += 1
        return False
    lock_enter(m, lock_class, owner, True)
    state[0] = LOCK_HELD
    return True

cdef inline void mutex_unlock(machine* m, uint32_t* state, int lock_class, void* owner) noexcept nogil:
    state[0] = LOCK_FREE
    lock_leave(m, lock_class, owner)

cdef inline void mutex_pass(machine* m, uint32_t* state, int lock_class, void* owner) noexcept nogil:
    """mutex_lock and mutex_unlock around straight-line code: not noted as held, for nobody could see it."""
    if rm_unlikely(state[0] != LOCK_FREE or m.held_mask >> lock_class != 0):
        mutex_lock(m, state, lock_class, owner)
        mutex_unlock(m, state, lock_class, owner)
    else:
        m.hw.cost.locks[lock_class] += 1

# ---------------------------------------------------------------- the locks by name
cdef inline void anon_vma_lock(machine* m, anon_vma* av) noexcept nogil:
    mutex_lock(m, &av.root.lock, LOCK_ANON_VMA, av.root)

cdef inline void anon_vma_unlock(machine* m, anon_vma* av) noexcept nogil:
    mutex_unlock(m, &av.root.lock, LOCK_ANON_VMA, av.root)

cdef inline void i_mmap_lock(machine* m, address_space* mapping) noexcept nogil:
    mutex_lock(m, &mapping.i_mmap_lock, LOCK_I_MMAP, mapping)

cdef inline void i_mmap_unlock(machine* m, address_space* mapping) noexcept nogil:
    mutex_unlock(m, &mapping.i_mmap_lock, LOCK_I_MMAP, mapping)

cdef inline void page_table_lock(machine* m, mm_struct* mm) noexcept nogil:
    if rm_unlikely(m.nr_held_other != 0):
        ptl_wait(m, mm, NO_LEAF)
    mutex_lock(m, &mm.page_table_lock, LOCK_PTL, mm)

cdef inline void pte_lock(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    """The lock of the leaf table that has va (pte_lockptr)."""
    if rm_unlikely(m.nr_held_other != 0):
        ptl_wait(m, mm, va)
    mutex_lock(m, &mm.page_table_lock, LOCK_PTL, mm)

cdef inline void pte_unlock(machine* m, mm_struct* mm) noexcept nogil:
    mutex_unlock(m, &mm.page_table_lock, LOCK_PTL, mm)

cdef inline void pte_lock_nested(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    """The second of two (copy_pte_range: SINGLE_DEPTH_NESTING)."""
    if rm_unlikely(m.nr_held_other != 0):
        ptl_wait(m, mm, va)
    if rm_unlikely(mm.page_table_lock == LOCK_HELD):
        lock_bug(m, BUG_DEADLOCK, LOCK_PTL, LOCK_PTL, mm)
    lock_enter(m, LOCK_PTL, mm, True)
    mm.page_table_lock = LOCK_HELD

cdef inline void spin_lock(machine* m, int lock_class) noexcept nogil:
    """One-of-a-kind locks: lru_lock, swap_lock, mmlist_lock, tree_lock, ..."""
    while rm_unlikely(m.other_mask >> lock_class & 1):
        lock_wait(m, lock_class, NULL)
    lock_enter(m, lock_class, NULL, False)

cdef inline void spin_unlock(machine* m, int lock_class) noexcept nogil:
    lock_leave(m, lock_class, NULL)

# ---------------------------------------------------------------- PG_locked
cdef inline bint trylock_page(machine* m, uint32_t pfn) noexcept nogil:
    if rm_unlikely(m.pages[pfn].flags & PG_locked):
        m.hw.cost.trylock_failed[LOCK_PAGE] += 1
        return False
    lock_enter(m, LOCK_PAGE, &m.pages[pfn], True)
    m.pages[pfn].flags |= PG_locked
    return True

cdef inline void lock_page(machine* m, uint32_t pfn) noexcept nogil:
    while rm_unlikely(m.pages[pfn].flags & PG_locked):
        if not m.pages[pfn].flags & PG_locked_other:
            lock_bug(m, BUG_DEADLOCK, LOCK_PAGE, LOCK_PAGE, &m.pages[pfn])
        lock_wait(m, LOCK_PAGE, &m.pages[pfn])
    lock_enter(m, LOCK_PAGE, &m.pages[pfn], False)
    m.pages[pfn].flags |= PG_locked

cdef inline void unlock_page(machine* m, uint32_t pfn) noexcept nogil:
    m.pages[pfn].flags &= ~<uint32_t>PG_locked
    lock_leave(m, LOCK_PAGE, &m.pages[pfn])

# ---------------------------------------------------------------- mmap_sem
cdef inline bint rwsem_is_locked(const mm_struct* mm) noexcept nogil:
    return mm.mmap_sem != 0 or mm.mmap_sem_other != 0

cdef inline bint down_read_trylock(machine* m, mm_struct* mm) noexcept nogil:
    if rm_unlikely(mm.mmap_sem < 0 or mm.mmap_sem_other == 2):
        m.hw.cost.trylock_failed[LOCK_MMAP_SEM] += 1
        return False
    lock_enter(m, LOCK_MMAP_SEM, mm, True)
    mm.mmap_sem += 1
    return True

cdef inline void down_read(machine* m, mm_struct* mm) noexcept nogil:
    while rm_unlikely(mm.mmap_sem < 0 or mm.mmap_sem_other == 2):
        if mm.mmap_sem < 0:
            lock_bug(m, BUG_DEADLOCK, LOCK_MMAP_SEM, LOCK_MMAP_SEM, mm)
        lock_wait(m, LOCK_MMAP_SEM, mm)
    lock_enter(m, LOCK_MMAP_SEM, mm, False)
    mm.mmap_sem += 1

cdef inline void up_read(machine* m, mm_struct* mm) noexcept nogil:
    mm.mmap_sem -= 1
    lock_leave(m, LOCK_MMAP_SEM, mm)

cdef inline void down_write(machine* m, mm_struct* mm, bint nested) noexcept nogil:
    """nested: the child's in dup_mmap (SINGLE_DEPTH_NESTING)."""
    while rm_unlikely(mm.mmap_sem != 0 or mm.mmap_sem_other != 0):
        if mm.mmap_sem != 0:
            lock_bug(m, BUG_DEADLOCK, LOCK_MMAP_SEM, LOCK_MMAP_SEM, mm)
        lock_wait(m, LOCK_MMAP_SEM, mm)
    lock_enter(m, LOCK_MMAP_SEM, mm, nested)
    mm.mmap_sem = -1

cdef inline void up_write(machine* m, mm_struct* mm) noexcept nogil:
    mm.mmap_sem = 0
    lock_leave(m, LOCK_MMAP_SEM, mm)

cdef inline void downgrade_write(machine* m, mm_struct* mm) noexcept nogil:
    """Held for writing, from here on for reading."""
    mm.mmap_sem = 1
