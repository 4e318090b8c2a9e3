# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.rmap, linking: anon_vmas by serial number, chain entries that are linked nowhere by the number of their allocation.
# Kernel: mm/rmap.c (v3.2), anon_vma_alloc to page_unlock_anon_vma, __put_anon_vma. What returns locked there returns locked here.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.machine.base cimport op_t, errno_error
from rmapemu.machine.bench cimport Bench
from rmapemu.machine.page cimport pfn_of
from rmapemu.machine.vma cimport vma_arg
from rmapemu.mm.anon_vma cimport *
from rmapemu.mm.lock cimport anon_vma_lock, anon_vma_unlock
from rmapemu.mm.types cimport *

from rmapemu.errors import GoneError, OutOfMemory
from rmapemu.machine.sizes import parse_int

NOT_ASKED = object()            # for a page or VMA that an operation has no argument for; None from a caller is an error


# ---------------------------------------------------------------- operations: a[1] a VMA, a[2] an anon_vma, a[3] a chain entry
cdef int64_t op_alloc(machine* m, const uint64_t* a) noexcept nogil:
    cdef anon_vma* av = anon_vma_alloc(m)
    return 0 if av == NULL else av.serial


cdef int64_t op_free(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_free(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_ctor(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_ctor(<anon_vma*>a[2])
    return 0


cdef int64_t op_chain_alloc(machine* m, const uint64_t* a) noexcept nogil:
    """The offset of the entry in its arena, or 0."""
    cdef anon_vma_chain* avc = anon_vma_chain_alloc(m, <uint32_t>a[2])
    return 0 if avc == NULL else <int64_t>(<uint64_t>avc - <uint64_t>m.kmem[KMEM_AVC].base)


cdef int64_t op_chain_free(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_chain_free(m, <anon_vma_chain*>a[3])
    return 0


cdef int64_t op_chain_link(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_chain_link(m, <vm_area_struct*>a[1], <anon_vma_chain*>a[3], <anon_vma*>a[2])
    return 0


cdef int64_t op_prepare(machine* m, const uint64_t* a) noexcept nogil:
    return anon_vma_prepare(m, <vm_area_struct*>a[1])


cdef int64_t op_clone(machine* m, const uint64_t* a) noexcept nogil:
    return anon_vma_clone(m, <vm_area_struct*>a[1], <vm_area_struct*>a[2])


cdef int64_t op_fork_av(machine* m, const uint64_t* a) noexcept nogil:
    return anon_vma_fork(m, <vm_area_struct*>a[1], <vm_area_struct*>a[2])


cdef int64_t op_unlink(machine* m, const uint64_t* a) noexcept nogil:
    unlink_anon_vmas(m, <vm_area_struct*>a[1])
    return 0


cdef int64_t op_lock_root(machine* m, const uint64_t* a) noexcept nogil:
    """a[3]: the root that is locked now, or 0."""
    return lock_anon_vma_root(m, <anon_vma*>a[3], <anon_vma*>a[2]).serial


cdef int64_t op_unlock_root(machine* m, const uint64_t* a) noexcept nogil:
    unlock_anon_vma_root(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_page_get(machine* m, const uint64_t* a) noexcept nogil:
    cdef anon_vma* av = page_get_anon_vma(m, <uint32_t>a[0])
    return 0 if av == NULL else av.serial


cdef int64_t op_get(machine* m, const uint64_t* a) noexcept nogil:
    get_anon_vma(<anon_vma*>a[2])
    return 0


cdef int64_t op_put(machine* m, const uint64_t* a) noexcept nogil:
    put_anon_vma(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_put_last(machine* m, const uint64_t* a) noexcept nogil:
    __put_anon_vma(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_lock(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_lock(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_unlock(machine* m, const uint64_t* a) noexcept nogil:
    anon_vma_unlock(m, <anon_vma*>a[2])
    return 0


cdef int64_t op_page_lock(machine* m, const uint64_t* a) noexcept nogil:
    cdef anon_vma* av = page_lock_anon_vma(m, <uint32_t>a[0])
    return 0 if av == NULL else av.serial


cdef class RmapLink(Bench):
    """Linking VMAs to anon_vmas. anon_vmas are named by serial number; a pointer that would be NULL is None."""

    cdef int64_t _run(self, op_t op, object page, object vma, uint64_t x, uint64_t* a) except? -100000:
        self.machine.usable()
        a[0] = 0 if page is NOT_ASKED else pfn_of(self.machine, page, True)
        a[1] = 0 if vma is NOT_ASKED else <uint64_t>vma_arg(self.machine, vma)
        a[2] = x
        a[3] = 0
        a[4] = 0
        return self.machine.run_op(op, a)

    cdef object _link(self, op_t op, object vma, object other):
        """An operation on one or two VMAs that can lack memory."""
        cdef uint64_t a[5]
        cdef int64_t r
        self.machine.usable()
        if vma is other or vma == other:
            raise ValueError(f"{vma!r} cannot be linked to the anon_vmas of itself")
        r = self._run(op, NOT_ASKED, vma, 0 if other is NOT_ASKED else <uint64_t>vma_arg(self.machine, other), a)
        if r == -ENOMEM:
            raise OutOfMemory(self.machine.lists())
        if r < 0:
            raise errno_error(r, "")
        return None

    cdef anon_vma_chain* _avc(self, object number) except NULL:
        slot = self.machine.avcs.get(parse_int(number, "anon_vma_chain"))
        if slot is None:
            raise GoneError(f"anon_vma_chain {number} is linked, freed, or never was")
        return <anon_vma_chain*>(self.machine.m.kmem[KMEM_AVC].base + <uint64_t>slot)

    cdef object _av_op(self, op_t op, object anon_vma):
        cdef uint64_t a[5]
        self.machine.usable()
        self.open()
        return self._run(op, NOT_ASKED, NOT_ASKED, <uint64_t>self.av(anon_vma), a)

    cdef object _unlock(self, op_t op, object number):
        self.open()
        if self.av(number).root.lock != LOCK_HELD:
            raise ValueError(f"the lock of anon_vma {number} is not held")
        self._av_op(op, number)

    # ------------------------------------------------------------ objects
    def anon_vma_init(self):
        """Nothing: the two caches were made with the machine."""
        self.machine.usable()

    def anon_vma_ctor(self, anon_vma):
        """What the constructor leaves: unlocked, no references, no VMAs."""
        self._av_op(op_ctor, anon_vma)

    def anon_vma_alloc(self):
        """A new anon_vma with one reference, its own root: its serial number, or None where memory is lacking."""
        cdef uint64_t a[5]
        self.open()
        return self._run(op_alloc, NOT_ASKED, NOT_ASKED, 0, a) or None

    def anon_vma_free(self, anon_vma):
        """Frees an anon_vma without references, having waited for whoever holds its root's lock."""
        self._av_op(op_free, anon_vma)

    def anon_vma_chain_alloc(self, gfp=0xd0):
        """A new chain entry, linked nowhere: its number, or None where memory is lacking. ``gfp``: GFP_KERNEL by default."""
        cdef uint64_t a[5]
        cdef int64_t slot
        self.open()
        slot = self._run(op_chain_alloc, NOT_ASKED, NOT_ASKED, parse_int(gfp, "gfp", 0, 0xffffffff), a)
        if slot == 0:
            return None
        number = self.machine.m.kmem[KMEM_AVC].allocated
        self.machine.avcs[number] = slot
        return number

    def anon_vma_chain_free(self, anon_vma_chain):
        """Frees a chain entry that is linked nowhere."""
        cdef uint64_t a[5]
        self.machine.usable()
        a[3] = <uint64_t>self._avc(anon_vma_chain)
        self.machine.run_op(op_chain_free, a)
        del self.machine.avcs[parse_int(anon_vma_chain, "anon_vma_chain")]

    def anon_vma_chain_link(self, vma, anon_vma_chain, anon_vma):
        """Links the entry: first in the VMA's chain, last in the anon_vma's list. It belongs to the VMA from then on."""
        cdef uint64_t a[5]
        self.machine.usable()
        a[1] = <uint64_t>vma_arg(self.machine, vma)
        a[3] = <uint64_t>self._avc(anon_vma_chain)
        a[2] = <uint64_t>self.av(anon_vma)
        self.machine.run_op(op_chain_link, a)
        del self.machine.avcs[parse_int(anon_vma_chain, "anon_vma_chain")]

    # ------------------------------------------------------------ linking
    def anon_vma_prepare(self, vma):
        """Gives the VMA an anon_vma, a neighbour's where that fits. OutOfMemory leaves nothing behind."""
        self._link(op_prepare, vma, NOT_ASKED)

    def anon_vma_clone(self, dst, src):
        """Links dst to all anon_vmas of src. OutOfMemory leaves dst unlinked."""
        self._link(op_clone, dst, src)

    def anon_vma_fork(self, vma, pvma):
        """Links a child's VMA to its parent's anon_vmas and to one of its own."""
        self._link(op_fork_av, vma, pvma)

    def unlink_anon_vmas(self, vma):
        """Unlinks the VMA from all its anon_vmas; those without VMAs are freed."""
        self._link(op_unlink, vma, NOT_ASKED)

    # ------------------------------------------------------------ locks and references
    def lock_anon_vma_root(self, root, anon_vma):
        """Locks the root of anon_vma, unless it is ``root``, the one locked already (None: none is). Returns the root that is locked."""
        cdef uint64_t a[5]
        self.machine.usable()
        a[2] = <uint64_t>self.av(anon_vma)
        a[3] = 0 if root is None else <uint64_t>self.av(root)
        if root is not None and self.av(root).lock != LOCK_HELD:
            raise ValueError(f"the lock of anon_vma {root} is not held")
        return self.machine.run_op(op_lock_root, a)

    def unlock_anon_vma_root(self, root):
        """Unlocks what lock_anon_vma_root locked; None: nothing."""
        self.machine.usable()
        if root is not None:
            self._unlock(op_unlock_root, root)

    def anon_vma_lock(self, anon_vma):
        """Locks the root of an anon_vma."""
        self._av_op(op_lock, anon_vma)

    def anon_vma_unlock(self, anon_vma):
        """Unlocks the root of an anon_vma."""
        self._unlock(op_unlock, anon_vma)

    def page_get_anon_vma(self, page):
        """Takes a reference to the page's anon_vma if it is mapped: its serial number, or None. put_anon_vma drops it."""
        cdef uint64_t a[5]
        self.open()
        return self._run(op_page_get, page, NOT_ASKED, 0, a) or None

    def get_anon_vma(self, anon_vma):
        """Takes a reference."""
        self._av_op(op_get, anon_vma)

    def put_anon_vma(self, anon_vma):
        """Drops a reference; the last one frees it."""
        self._av_op(op_put, anon_vma)

    def put_anon_vma_last(self, anon_vma):
        """__put_anon_vma: frees an anon_vma without references, and its root if this was the last reference to that."""
        self._av_op(op_put_last, anon_vma)

    def page_lock_anon_vma(self, page):
        """Locks the page's anon_vma if it is mapped: its serial number, or None. It stays locked until page_unlock_anon_vma."""
        cdef uint64_t a[5]
        self.open()
        return self._run(op_page_lock, page, NOT_ASKED, 0, a) or None

    def page_unlock_anon_vma(self, anon_vma):
        """Unlocks what page_lock_anon_vma locked."""
        self._unlock(op_unlock, anon_vma)
