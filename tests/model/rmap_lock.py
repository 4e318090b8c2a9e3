# SPDX-License-Identifier: GPL-2.0-only
"""The locks of the model of mm/rmap.c: taken, counted, checked against the order, waited for; and BUG_ON."""
from __future__ import annotations

from typing import Any

LOCKED = 1 << 0
LOCKS = ("i_mutex", "mmap_sem", "page", "i_mmap_mutex", "anon_vma", "ptl", "lru_lock", "swap_lock", "mmlist_lock", "private_lock", "i_lock",
         "bdi_list_lock", "sb_lock", "tree_lock")
FREE, HELD, OTHER = range(3)
ALL = 2                         # of a process's page table locks

Dict = dict[str, Any]


class Bug(Exception):
    """BUG_ON, VM_BUG_ON, a deadlock or a dereference that faults: condition and function."""


class Blocked(Exception):
    """A lock that someone else holds."""


class NoMemory(Exception):
    """-ENOMEM."""


class Held:
    """A lock that the model's operation holds: its class, and where its state stands (None: it has none)."""

    def __init__(self, number: int, where: Dict | None, key: str) -> None:
        self.number, self.where, self.key = number, where, key

class Locks:
    """What the operation holds; what someone else holds stands in the state."""

    config: dict[str, bool]
    shift: int
    held: list[Held]
    helpful: bool
    d: Dict
    pages: dict[int, Dict]
    cost: dict[str, int]

    def bug(self, condition: object, text: str, function: str) -> None:
        if condition:
            self.d["dead"] = 1
            raise Bug(text, function)

    def vm_bug(self, condition: object, text: str, function: str) -> None:
        self.bug(condition and self.config["debug_vm"], text, function)

    # ------------------------------------------------------------ locks
    def count_lock(self, name: str) -> None:
        self.cost[f"lock_{name}"] += 1

    def enter(self, name: str, where: Dict | None, key: str, *, nested: bool = False) -> None:
        """Notes a lock as taken. Unless it is one of those that may be nested, those held must come before it in the order."""
        number = LOCKS.index(name)
        self.count_lock(name)
        if not nested:
            same = any(h.number == number and h.where is where for h in self.held)
            self.bug(any(h.number >= number for h in self.held), "deadlock" if same else "lock order", name)
        self.held.append(Held(number, where, key))
        self.note_held()

    def note_held(self) -> None:
        self.d["held"] = sum({1 << h.number for h in self.held})

    def leave(self, name: str, where: Dict | None) -> None:
        number = LOCKS.index(name)
        for h in reversed(self.held):
            if h.number == number and h.where is where:
                self.held.remove(h)
                break
        self.note_held()

    def release_all(self) -> None:
        """What whoever gives up leaves behind: nothing."""
        for h in self.held:
            if h.key == "flags":
                h.where["flags"] &= ~LOCKED
            elif h.key == "mmap_sem":
                h.where["mmap_sem"] -= 1
            elif h.where is not None:
                h.where[h.key] = FREE
        self.held.clear()
        self.note_held()

    def wait(self, name: str) -> None:
        if not self.helpful:
            self.release_all()
            raise Blocked(name)

    def lock(self, name: str, where: Dict, key: str) -> None:
        """A mutex or spinlock whose state is where[key]."""
        while where[key] != FREE:
            self.bug(where[key] == HELD, "deadlock", name)
            self.wait(name)
            where[key] = FREE
        self.enter(name, where, key)
        where[key] = HELD

    def trylock(self, name: str, where: Dict, key: str) -> bool:
        if where[key] != FREE:
            self.cost[f"trylock_failed_{name}"] += 1
            return False
        self.enter(name, where, key, nested=True)
        where[key] = HELD
        return True

    def unlock(self, name: str, where: Dict, key: str) -> None:
        where[key] = FREE
        self.leave(name, where)

    def lock_one(self, name: str) -> None:
        """Taken and dropped: lru_lock, swap_lock, mmlist_lock, tree_lock, of which there is one."""
        number = LOCKS.index(name)
        if number in (6, 7):
            self.bug(any(h.number >= number for h in self.held), "lock order", name)
        if self.d["held_other"] >> number & 1:
            self.wait(name)
            self.d["held_other"] &= ~(1 << number)
        self.enter(name, None, "")
        self.leave(name, None)

    def ptl(self, mm: Dict, va: int | None = None) -> None:
        """page_table_lock, or the lock of the frame of the leaf table that has va."""
        of_table = va is not None and self.config["split_ptlocks"]
        others = mm["pte_locks_other"]
        if mm["page_table_lock_other"] == ALL or (mm["page_table_lock_other"] and not of_table):
            self.wait("ptl")
            mm["page_table_lock_other"] = 0
        if of_table and (frame := others.get(va >> self.shift << self.shift)) is not None:
            self.wait("ptl")
            mm["pte_locks_other"] = {table: f for table, f in others.items() if f != frame}
        self.lock("ptl", mm, "page_table_lock")

    def ptl_unlock(self, mm: Dict) -> None:
        self.unlock("ptl", mm, "page_table_lock")

    def trylock_page(self, p: Dict) -> bool:
        if p["flags"] & LOCKED:
            self.cost["trylock_failed_page"] += 1
            return False
        self.enter("page", p, "flags", nested=True)
        p["flags"] |= LOCKED
        return True

    def unlock_page(self, p: Dict) -> None:
        p["flags"] &= ~LOCKED
        self.leave("page", p)

    def down_read_trylock(self, mm: Dict) -> bool:
        if mm["mmap_sem_other"] == 2:
            self.cost["trylock_failed_mmap_sem"] += 1
            return False
        self.enter("mmap_sem", mm, "mmap_sem", nested=True)
        mm["mmap_sem"] += 1
        return True

    def up_read(self, mm: Dict) -> None:
        mm["mmap_sem"] -= 1
        self.leave("mmap_sem", mm)
