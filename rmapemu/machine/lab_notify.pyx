# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for those who look on: mmu notifiers as Python functions, and memory cgroups.
# Kernel: mm/mmu_notifier.c (v3.2), mmu_notifier_register and what calls the operations; mm/memcontrol.c.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from rmapemu.machine.lab_ksm cimport LabKsm
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.page cimport Page
from rmapemu.machine.process_view cimport mm_arg
from rmapemu.mm.compound cimport compound_order
from rmapemu.mm.memcontrol cimport mem_cgroup_charge, uncharge_page
from rmapemu.mm.types cimport *

from rmapemu.errors import GoneError
from rmapemu.machine.names import NOTIFIER_OPS
from rmapemu.machine.process import Process
from rmapemu.machine.sizes import parse_int, pick

_STATS = ("usage", "cache", "rss", "file_mapped", "pgpgin", "pgpgout")


cdef int tell(machine* m, mm_struct* mm, int op, uint64_t va, uint64_t end) noexcept nogil:
    """machine.notifier. The functions may use the bench, and so the trap of the operation that tells them."""
    cdef uint8_t trap[512]
    cdef int young
    memcpy(trap, m.trap, sizeof(trap))
    with gil:
        young = tell_python(<Machine>m.py, mm, op, va, end)
    memcpy(m.trap, trap, sizeof(trap))
    m.trap_set = 1
    return young


cdef int tell_python(Machine self, mm_struct* mm, int op, uint64_t va, uint64_t end) noexcept:
    """Each notifier that wants to know, newest first: their young bits or-ed. What one raises comes out when the operation is over;
    nobody is asked any more until then.
    """
    cdef int young = 0
    before = self.in_callback
    self.in_callback = True
    try:
        told = self.notifiers.pop(mm.pid, ()) if op == NOTIFY_RELEASE else tuple(self.notifiers.get(mm.pid, ()))
        for _number, operations in told:
            function = operations.get(op)
            if function is None:
                continue
            self.m.hw.cost.notifier_calls += 1
            if self.block_error is None:
                young |= bool(call_one(self, function, mm, op, va, end))
    except BaseException as error:
        self.block_error = error
    finally:
        self.in_callback = before
    return young


cdef object call_one(Machine self, object function, mm_struct* mm, int op, uint64_t va, uint64_t end):
    if isinstance(function, bool):
        return function
    process = Process(self, mm.pid)
    if op == NOTIFY_RELEASE:
        return function(process)
    return function(process, va) if op <= NOTIFY_INVALIDATE_PAGE else function(process, va, end)


cdef class LabNotify(LabKsm):
    """notifier, memcg, charge."""

    # ------------------------------------------------------------ mmu notifiers
    def notifier(self, mm, *, clear_flush_young=None, invalidate_page=None, invalidate_range_start=None, invalidate_range_end=None,
                 release=None):
        """Registers an mmu notifier with the mm: its number, for notifier_remove. What is None it does not want to know; a function
        is called as ``clear_flush_young(process, address)`` (true: it saw the page used), ``invalidate_page(process, address)``,
        ``invalidate_range_start(process, start, end)``, ``invalidate_range_end(process, start, end)`` or ``release(process)``; a bool
        stands for a function that answers so. They may use the bench. What one raises comes out of the operation when that is over.
        """
        cdef mm_struct* to
        self.outside()
        if not self.machine.m.config.mmu_notifier:
            raise ValueError("config: the machine is without mmu_notifier")
        to = mm_arg(self.machine, mm)
        given = (clear_flush_young, invalidate_page, invalidate_range_start, invalidate_range_end, release)
        for name, function in zip(NOTIFIER_OPS, given):
            if function is not None and not isinstance(function, bool) and not callable(function):
                raise TypeError(f"{name}={function!r}: expected a function, a bool or None")
        self.machine.next_notifier += 1
        operations = {op: function for op, function in enumerate(given) if function is not None}
        self.machine.notifiers.setdefault(to.pid, []).insert(0, (self.machine.next_notifier, operations))
        self.machine.m.notifier = tell
        self.machine.m.nr_notified += to.notifiers == 0
        to.notifiers += 1
        return self.machine.next_notifier

    def notifier_remove(self, number):
        """Unregisters an mmu notifier; its release is not called."""
        cdef mm_struct* of
        self.outside()
        wanted = parse_int(number, "number")
        found = [pid for pid, told in self.machine.notifiers.items() if any([one[0] == wanted for one in told])]
        if not found:
            raise GoneError(f"notifier {wanted} is gone, or never was")
        pid = found[0]
        self.machine.notifiers[pid] = [one for one in self.machine.notifiers[pid] if one[0] != wanted]
        of = self.machine.mm_of(pid)
        of.notifiers -= 1
        self.machine.m.nr_notified -= of.notifiers == 0

    # ------------------------------------------------------------ memory cgroups
    cdef object _group(self, object group):
        number = parse_int(group, "group")
        if not 0 <= number < NR_MEMCG:
            raise ValueError(f"group={group!r}: expected 0 (the root) to {NR_MEMCG - 1}")
        return number

    def memcg(self, mm, group=None):
        """The number of the mm's group (0: root); sets it first where one is given."""
        cdef mm_struct* to
        self.open()
        to = mm_arg(self.machine, mm)
        if group is not None:
            to.memcg = self._group(group)
        return to.memcg

    def charge(self, page, group, cache=False):
        """Charges a page to a group, as anonymous memory or as page cache, and counts it there: usage (not for the root), rss or
        cache, in frames (a huge page counts all of its own), and pgpgin.
        """
        cdef uint32_t pfn
        self._page(page)
        pfn = (<Page>page).pfn
        if mem_cgroup_charge(self.machine.m, pfn, self._group(group), bool(cache)):
            raise ValueError(f"{page!r} is charged to group {self.machine.m.page_cgroup[pfn] >> PCG_GROUP_SHIFT} already")

    def uncharge(self, page):
        """Takes the charge of a page back."""
        cdef uint32_t pfn
        self._page(page)
        pfn = (<Page>page).pfn
        if not self.machine.m.page_cgroup[pfn] & PCG_USED:
            raise ValueError(f"{page!r} is charged to no group")
        uncharge_page(self.machine.m, pfn, compound_order(self.machine.m, pfn))

    def charged_to(self, page):
        """The number of the group that a page is charged to; None: to none."""
        self._page(page)
        word = self.machine.m.page_cgroup[(<Page>page).pfn]
        return word >> PCG_GROUP_SHIFT if word & PCG_USED else None

    def memcg_stat(self, group, name, value=None):
        """A counter of a group, in pages: usage, cache, rss, file_mapped; or in events: pgpgin, pgpgout. Sets it first where a value is
        given.
        """
        cdef int64_t* stat
        cdef uint32_t number
        self.open()
        number = self._group(group)
        stat = <int64_t*>&self.machine.m.memcg[number]
        at = _STATS.index(pick(name, _STATS, "name"))
        if value is not None:
            stat[<int>at] = parse_int(value, "value", -(1 << 63), (1 << 63) - 1)
        return stat[<int>at]
