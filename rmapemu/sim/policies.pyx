# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The entry points of rmapemu.reclaim: what Machine(reclaim=NAME) calls to plug a policy into a machine.
# Kernel: none. The policies themselves are C functions (mm/policy.pxd); nothing here runs per page or access.
"""Reclaim policies as the entry-point group ``rmapemu.reclaim`` names them: callables of (machine, seed)."""

import os

import numpy as np

from libc.stdint cimport uint64_t
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.policy cimport Policy, opt_set_next, policy_make
from rmapemu.mm.types cimport reclaim_policy

from rmapemu.mm.policy import CLOCK, FIFO, LRU, OPT, RANDOM

__all__ = ["Plugged", "clock", "fifo", "lru", "opt", "plug", "random"]


cdef class Plugged:
    """A policy at work in a machine. ``name``; ``wants_future``: set_future is due before the first access."""
    cdef reclaim_policy* made
    cdef object next_use                # keeps the array alive
    cdef readonly str name
    cdef readonly bint wants_future

    def set_future(self, next_use not None):
        """next_use: uint64 array by access, in order: the index of the next access to the same page, len(next_use) or more if there
        is none. Accesses count from 0 at this call. Raises ValueError where the policy does not look ahead."""
        cdef const uint64_t[::1] array = np.ascontiguousarray(next_use, dtype=np.uint64)
        if not self.wants_future:
            raise ValueError(f"reclaim={self.name!r} does not look into the future")
        self.next_use = array
        opt_set_next(self.made, &array[0] if array.shape[0] else NULL, array.shape[0])


def plug(Machine machine not None, Policy policy not None, seed=0):
    """Plugs the policy into a machine that has no page yet: a Plugged. Raises OSError (ENOMEM)."""
    cdef Plugged plugged = Plugged.__new__(Plugged)
    cdef int err = 0
    plugged.made = policy_make(machine.m, policy, <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF), &err)
    if err:
        raise OSError(-err, os.strerror(-err))
    plugged.name = policy.name
    plugged.wants_future = policy.wants_future
    machine.m.policy = plugged.made
    return plugged


def lru(machine, seed=0):
    """Exact global LRU: told of every access."""
    return plug(machine, LRU, seed)


def fifo(machine, seed=0):
    """First in, first out."""
    return plug(machine, FIFO, seed)


def clock(machine, seed=0):
    """Second chance, by the accessed bits that the reverse map finds."""
    return plug(machine, CLOCK, seed)


def random(machine, seed=0):
    """A resident page drawn by lot, from the seed."""
    return plug(machine, RANDOM, seed)


def opt(machine, seed=0):
    """Belady's: the page whose next use is farthest away."""
    return plug(machine, OPT, seed)
