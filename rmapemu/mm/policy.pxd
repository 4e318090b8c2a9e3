# SPDX-License-Identifier: GPL-2.0-only
# Reclaim policies beside v3.2's two lists. Contract (struct reclaim_policy in types.pxd):
# - `added`: the page came onto the evictable lists (a page that the policy has already is left where it is);
#   `removed`: it left them by other ways than as a victim (a page that it does not have is ignored).
# - `touched`: every access in order, by frame; only where `wants_touched`.
# - `victims`: hands out up to n pages, best first, and forgets them; what cannot be evicted comes back through `added`.
# State lives in the machine's heap and names pages by frame number only, so that a copy of the machine is a copy of the policy.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.mm.types cimport machine, reclaim_policy

ctypedef int (*policy_init_t)(machine* m, reclaim_policy* policy, uint64_t seed) noexcept nogil     # fills all members: 0, -ENOMEM

cdef class Policy:
    """A policy that can be plugged into a machine. Immutable; the entry points of rmapemu.reclaim name such objects."""
    cdef policy_init_t init             # NULL: v3.2's own lists
    cdef readonly str name
    cdef readonly bint wants_touched    # the machine must run its accesses through access_traced
    cdef readonly bint wants_future     # opt_set_next must be called before the first access

# Makes the named policy of this machine (machine.policy is left alone): NULL and *err = 0 for "v3.2"; NULL and *err = -EINVAL
# for a name that is not built in, -ENOMEM.
cdef reclaim_policy* policy_create(machine* m, str name, uint64_t seed, int* err) except? NULL
cdef reclaim_policy* policy_make(machine* m, Policy policy, uint64_t seed, int* err) except? NULL
cdef void policy_destroy(machine* m, reclaim_policy* policy) noexcept nogil
# opt: next_use[i] is the index of the next access to the page that access i touches, n (or more) if there is none. The array
# stays the caller's and must live as long as the policy. Accesses are counted by `touched`, from 0 at this call.
cdef void opt_set_next(reclaim_policy* policy, const uint64_t* next_use, uint64_t n) noexcept nogil
