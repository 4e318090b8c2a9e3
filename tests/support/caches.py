# SPDX-License-Identifier: GPL-2.0-only
"""The textbook's page replacement in a few lines each: how often each algorithm must fault on a trace of pages."""

from collections import OrderedDict, deque


def lru(pages, frames):
    """Least recently used goes."""
    resident, faults = OrderedDict(), 0
    for page in pages:
        if page not in resident:
            faults += 1
            if len(resident) == frames:
                resident.popitem(last=False)
        resident[page] = True
        resident.move_to_end(page)
    return faults


def fifo(pages, frames):
    """Longest resident goes."""
    resident, faults = OrderedDict(), 0
    for page in pages:
        if page not in resident:
            faults += 1
            if len(resident) == frames:
                resident.popitem(last=False)
            resident[page] = True
    return faults


def clock(pages, frames):
    """Second chance: the hand passes over pages used since it last came by. A page comes because it is used."""
    hand, used, faults = deque(), {}, 0
    for page in pages:
        if page not in used:
            faults += 1
            if len(hand) == frames:
                while used[hand[0]]:
                    used[hand[0]] = False
                    hand.rotate(-1)
                del used[hand.popleft()]
            hand.append(page)
        used[page] = True
    return faults


def opt(pages, frames):
    """Belady's: the one used again last goes."""
    uses = {}
    for at, page in enumerate(pages):
        uses.setdefault(page, deque()).append(at)
    resident, faults = set(), 0
    for page in pages:
        uses[page].popleft()
        if page not in resident:
            faults += 1
            if len(resident) == frames:
                resident.remove(max(resident, key=lambda p: uses[p][0] if uses[p] else len(pages)))
            resident.add(page)
    return faults


MODELS = {"lru": lru, "fifo": fifo, "clock": clock, "opt": opt}
