# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The built-in reclaim policies by name, and how one is made for a machine.
# Kernel: none; what these do in place of mm/vmscan.c is to choose, the way out of memory stays the kernel's.
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport uint64_t
from rmapemu.mm.kmem cimport kfree, kmalloc
from rmapemu.mm.policy_list cimport clock_init, fifo_init, lru_init
from rmapemu.mm.policy_opt cimport opt_init, opt_state
from rmapemu.mm.policy_random cimport random_init
from rmapemu.mm.types cimport *


cdef class Policy:
    def __repr__(self):
        return f"<Policy {self.name}>"


cdef Policy built_in(str name, policy_init_t init, bint wants_touched, bint wants_future):
    cdef Policy p = Policy.__new__(Policy)
    p.name = name
    p.init = init
    p.wants_touched = wants_touched
    p.wants_future = wants_future
    return p


V3_2 = built_in("v3.2", NULL, False, False)
LRU = built_in("lru", lru_init, True, False)
FIFO = built_in("fifo", fifo_init, False, False)
CLOCK = built_in("clock", clock_init, False, False)
RANDOM = built_in("random", random_init, False, False)
OPT = built_in("opt", opt_init, True, True)
POLICIES = {p.name: p for p in (V3_2, LRU, FIFO, CLOCK, RANDOM, OPT)}
NAMES = tuple(POLICIES)


cdef reclaim_policy* policy_make(machine* m, Policy policy, uint64_t seed, int* err) except? NULL:
    cdef reclaim_policy* made
    err[0] = 0
    if policy.init == NULL:
        return NULL
    made = <reclaim_policy*>kmalloc(m, sizeof(reclaim_policy), GFP_KERNEL)
    if made == NULL:
        err[0] = -ENOMEM
        return NULL
    err[0] = policy.init(m, made, seed)
    if err[0]:
        kfree(m, made, sizeof(reclaim_policy))
        return NULL
    return made


cdef reclaim_policy* policy_create(machine* m, str name, uint64_t seed, int* err) except? NULL:
    if name not in POLICIES:
        err[0] = -EINVAL
        return NULL
    return policy_make(m, POLICIES[name], seed, err)


cdef void policy_destroy(machine* m, reclaim_policy* policy) noexcept nogil:
    if policy != NULL:
        kfree(m, policy.state, (<uint64_t*>policy.state)[0])
        kfree(m, policy, sizeof(reclaim_policy))


cdef void opt_set_next(reclaim_policy* policy, const uint64_t* next_use, uint64_t n) noexcept nogil:
    cdef opt_state* s = <opt_state*>policy.state
    s.next_use = next_use
    s.accesses = n
    s.position = 0
