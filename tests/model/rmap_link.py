# SPDX-License-Identifier: GPL-2.0-only
"""anon_vma_alloc to page_unlock_anon_vma of mm/rmap.c: which anon_vmas a VMA belongs to, how a page's is held still."""
from __future__ import annotations

from .rmap_lock import FREE, Dict, NoMemory
from .rmap_state import ANON_VMA, AVC, GFP_KERNEL, GFP_NOWAIT_NOWARN, PAGE, State

NEIGHBOURS = 0x1 | 0x2 | 0x4    # VM_READ, VM_WRITE, VM_EXEC: what mprotect may undo


class Link(State):
    """An anon_vma's ``vmas`` is its list in order, a VMA's ``chain`` its own, newest first; an entry is on both."""

    # ------------------------------------------------------------ objects
    def av(self, serial: int) -> Dict:
        """Freed ones too: they keep their bytes."""
        found = self.d["anon_vmas"].get(serial)
        return self.ghosts[serial] if found is None else found

    def root(self, serial: int) -> Dict:
        return self.av(self.av(serial)["root"])

    def anon_vma_lock(self, serial: int) -> None:
        self.lock("anon_vma", self.root(serial), "lock")

    def anon_vma_unlock(self, serial: int) -> None:
        self.unlock("anon_vma", self.root(serial), "lock")

    def new_anon_vma(self) -> int | None:
        if not self.alloc(ANON_VMA, GFP_KERNEL):
            return None
        serial = self.d["allocated"][ANON_VMA]
        self.d["anon_vmas"][serial] = {"root": serial, "refcount": 1, "lock": FREE, "vmas": []}
        return int(serial)

    def free_anon_vma(self, serial: int) -> None:
        self.vm_bug(self.av(serial)["refcount"], "atomic_read(&anon_vma->refcount)", "anon_vma_free")
        if self.root(serial)["lock"] != FREE:
            self.anon_vma_lock(serial)
            self.anon_vma_unlock(serial)
        self.ghosts[serial] = self.d["anon_vmas"].pop(serial)
        self.free(ANON_VMA)

    def put_anon_vma(self, serial: int) -> None:
        av = self.av(serial)
        av["refcount"] -= 1
        if av["refcount"] == 0:
            self.put_last(serial)

    def put_last(self, serial: int) -> None:
        """__put_anon_vma."""
        root = self.av(serial)["root"]
        if root != serial:
            self.av(root)["refcount"] -= 1
            if self.av(root)["refcount"] == 0:
                self.free_anon_vma(root)
        self.free_anon_vma(serial)

    def link(self, vma: int, serial: int) -> None:
        self.vmas[vma]["chain"].insert(0, serial)
        self.av(serial)["vmas"].append(vma)

    # ------------------------------------------------------------ one by one
    def anon_vma_ctor(self, serial: int) -> None:
        self.av(serial).update(lock=FREE, refcount=0, vmas=[])

    def anon_vma_alloc(self) -> int | None:
        return self.new_anon_vma()

    def anon_vma_free(self, serial: int) -> None:
        self.free_anon_vma(serial)

    def get_anon_vma(self, serial: int) -> None:
        self.av(serial)["refcount"] += 1

    def put_anon_vma_last(self, serial: int) -> None:
        self.put_last(serial)

    def anon_vma_chain_alloc(self, gfp: int) -> int | None:
        """An entry is named by how many there have been."""
        return int(self.d["allocated"][AVC]) if self.alloc(AVC, gfp) else None

    def anon_vma_chain_free(self, number: int) -> None:
        self.free(AVC)

    def anon_vma_chain_link(self, vma: int, number: int, serial: int) -> None:
        self.link(vma, serial)

    def lock_anon_vma_root(self, root: int | None, serial: int) -> int:
        self.lock_root(None if root is None else self.av(root), serial)
        return int(self.av(serial)["root"])

    def unlock_anon_vma_root(self, root: int | None) -> None:
        self.unlock_root(None if root is None else self.av(root))

    # ------------------------------------------------------------ linking
    def mergeable(self, vma: int) -> int | None:
        """find_mergeable_anon_vma: of the next VMA, else of the one before."""
        v = self.vmas[vma]
        beside = sorted((w for w in self.vmas.values() if w["pid"] == v["pid"]), key=lambda w: int(w["start"]))
        at = beside.index(v)
        after = beside[at + 1] if at + 1 < len(beside) else None
        before = beside[at - 1] if at else None
        for near, low, high in ((after, v, after), (before, before, v)):
            if near is None or low is None or high is None or not near["anon_vma"] or len(near["chain"]) != 1:
                continue
            follows = low["end"] == high["start"] and high["pgoff"] == low["pgoff"] + (low["end"] - low["start"]) // PAGE
            if follows and low["file"] == high["file"] and not (low["flags"] ^ high["flags"]) & ~NEIGHBOURS:
                return int(near["anon_vma"])
        return None

    def anon_vma_prepare(self, vma: int) -> None:
        v = self.vmas[vma]
        if v["anon_vma"]:
            return
        if not self.alloc(AVC, GFP_KERNEL):
            raise NoMemory
        serial = self.mergeable(vma)
        if serial is None:
            serial = self.new_anon_vma()
            if serial is None:
                self.free(AVC)
                raise NoMemory
        self.anon_vma_lock(serial)
        self.ptl(self.mm(v))
        v["anon_vma"] = serial
        self.link(vma, serial)
        self.ptl_unlock(self.mm(v))
        self.anon_vma_unlock(serial)

    def lock_root(self, root: Dict | None, serial: int) -> Dict:
        """lock_anon_vma_root."""
        new = self.root(serial)
        if new is root:
            return new
        if root is not None:
            self.d["warnings"] += 1
            self.unlock("anon_vma", root, "lock")
        self.lock("anon_vma", new, "lock")
        return new

    def unlock_root(self, root: Dict | None) -> None:
        if root is not None:
            self.unlock("anon_vma", root, "lock")

    def anon_vma_clone(self, dst: int, src: int) -> None:
        root = None
        for serial in reversed(self.vmas[src]["chain"]):
            if not self.alloc(AVC, GFP_NOWAIT_NOWARN):
                self.unlock_root(root)
                root = None
                if not self.alloc(AVC, GFP_KERNEL):
                    self.unlink_anon_vmas(dst)
                    raise NoMemory
            root = self.lock_root(root, serial)
            self.link(dst, serial)
        self.unlock_root(root)

    def anon_vma_fork(self, vma: int, parent: int) -> None:
        if not self.vmas[parent]["anon_vma"]:
            return
        self.anon_vma_clone(vma, parent)
        serial = self.new_anon_vma()
        if serial is None:
            self.unlink_anon_vmas(vma)
            raise NoMemory
        if not self.alloc(AVC, GFP_KERNEL):
            self.put_anon_vma(serial)
            self.unlink_anon_vmas(vma)
            raise NoMemory
        root = self.av(self.vmas[parent]["anon_vma"])["root"]
        self.av(serial)["root"] = root
        self.av(root)["refcount"] += 1
        self.vmas[vma]["anon_vma"] = serial
        self.anon_vma_lock(serial)
        self.link(vma, serial)
        self.anon_vma_unlock(serial)

    def unlink_anon_vmas(self, vma: int) -> None:
        chain, root = self.vmas[vma]["chain"], None
        for at, serial in enumerate(list(chain)):
            root = self.lock_root(root, serial)
            # of several entries of one VMA in one anon_vma, this one's place in the list
            places = [i for i, other in enumerate(self.av(serial)["vmas"]) if other == vma]
            del self.av(serial)["vmas"][places[-1 if serial not in chain[at + 1:] else 0]]
            if self.av(serial)["vmas"]:
                chain.remove(serial)
                self.free(AVC)
        self.unlock_root(root)
        for serial in list(chain):
            self.put_anon_vma(serial)
            chain.remove(serial)
            self.free(AVC)

    # ------------------------------------------------------------ from a page to its anon_vma
    def page_av(self, p: Dict) -> int | None:
        """page_anon_vma: KSM's pages have none."""
        if p["mapping"] is None or p["mapping"][0] != "anon_vma":
            return None
        return int(p["mapping"][1])

    def mapped_av(self, p: Dict) -> int | None:
        self.cost["rcu_read_lock"] += 1
        serial = self.page_av(p)
        if serial is None or p["mapcount"] <= 0:
            return None
        self.bug(serial == 0, "anon_vma is NULL", "page_lock_anon_vma")
        return serial

    def page_get_anon_vma(self, pfn: int) -> int | None:
        serial = self.mapped_av(self.pages[pfn])
        if serial is None or self.av(serial)["refcount"] == 0:
            return None
        self.av(serial)["refcount"] += 1
        return serial

    def page_lock_anon_vma(self, pfn: int) -> int | None:
        serial = self.mapped_av(self.pages[pfn])
        if serial is None or self.trylock("anon_vma", self.root(serial), "lock"):
            return serial
        av = self.av(serial)
        if av["refcount"] == 0:
            return None
        av["refcount"] += 1
        self.anon_vma_lock(serial)
        av["refcount"] -= 1
        if av["refcount"] == 0:
            self.anon_vma_unlock(serial)
            self.put_last(serial)
            return None
        return serial

    def page_unlock_anon_vma(self, serial: int) -> None:
        self.anon_vma_unlock(serial)
