# SPDX-License-Identifier: GPL-2.0-only
# The public face's base: the owner of one `machine`, and the one way by which it calls into mm/. Machine adds what users see.
from libc.stdint cimport uint64_t, int64_t, uint32_t, uint8_t
from rmapemu.mm.types cimport machine, mm_struct, address_space

# An operation of mm/ with its arguments in an array: 0 or more is its result, less is -errno or a FAULT_* code.
ctypedef int64_t (*op_t)(machine* m, const uint64_t* a) noexcept nogil

cdef enum:
    TRAPPED = -100000           # what `trapped` returns after an unwinding; machine.bug says why
    ACCESS_CHUNK = 1 << 18      # accesses between two looks for Ctrl-C

cdef class MachineBase:
    cdef machine* m                     # NULL: closed
    cdef bint busy                      # an operation runs (perhaps in another thread, for the GIL is released)
    cdef bint by_hand                   # the bench was used: references may be its own
    cdef bint in_callback               # it waits for a Python function, which may use the bench
    cdef Py_ssize_t exports             # live NumPy views into the arenas
    cdef object __weakref__
    cdef readonly object backend        # keeps the operations and the format alive
    cdef readonly str arch              # name of the backend
    cdef readonly str reclaim           # name of the reclaim policy
    cdef readonly str rmap_design       # name of the rmap design
    cdef readonly str keys              # "exact" or "tlb-latched"
    cdef readonly str thp
    cdef readonly object policy         # the plug-in that made machine.policy; None: v3.2
    cdef dict tasks                     # pid -> (number of the mm's slot, name, parent's pid)
    cdef dict file_names                # ino -> (generation, name)
    cdef object block_function          # lab.on_block: what runs when a blocking lock is waited for
    cdef object block_error             # an exception that it raised
    cdef dict avcs                      # anon_vma_chains linked nowhere: number of the allocation -> offset in the arena
    cdef dict notifiers                 # pid -> [(number, {operation: function or bool})], newest first
    cdef int64_t next_notifier
    cdef list swap_sizes                # bytes of each area
    cdef int readable(self) except -1   # raises when closed
    cdef int usable(self) except -1     # raises when closed, dead or busy
    cdef int64_t run_op(self, op_t op,
            const uint64_t* a) except? TRAPPED     # the result, negative ones too; raises only after an unwinding
    cdef int64_t call(self, op_t op, const uint64_t* a) except? TRAPPED       # the result; raises for negative ones
    cdef object unwound(self)           # the exception for machine.bug
    cdef object access_error(self, int64_t code, uint64_t va, int kind, uint32_t pid)
    cdef mm_struct* mm_of(self, uint32_t pid) except NULL
    cdef address_space* mapping_of(self, uint32_t ino, uint64_t generation) except NULL

cdef object errno_error(int64_t code, object what)  # an OSError for -errno
cdef int64_t trapped(machine* m, op_t op, const uint64_t* a) noexcept nogil
