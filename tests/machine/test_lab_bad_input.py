# SPDX-License-Identifier: GPL-2.0-only
"""Every function of the reverse map with what it cannot take: an exception that names it, and the machine unharmed."""

import inspect

import pytest

from rmapemu import GoneError, Machine, VmFlag
from rmapemu.machine.lab import Lab
from rmapemu.machine.rmap_face import Rmap
from support.lab import START

HANDLES = {"page", "check_page", "vma", "dst", "src", "pvma", "mm", "mapping", "migration", "hwpoison"}
NUMBERS = {"anon_vma", "anon_vma_chain", "root", "node", "item", "number", "serial"}
OPTIONAL = {"check_page", "migration", "hwpoison", "page"}


def parameters(function):
    return [p.name for p in inspect.signature(function).parameters.values() if p.name != "self"]


def takers(kinds, *classes):
    """(class, method, parameter) for every public method with a parameter of those names."""
    for cls in classes:
        for name in dir(cls):
            if name.startswith("_") or not callable(getattr(cls, name)):
                continue
            for parameter in parameters(getattr(cls, name)):
                if parameter in kinds:
                    yield pytest.param(cls, name, parameter, id=f"{cls.__name__}.{name}-{parameter}")


class World:
    """A machine with one of everything, and what its arguments are called."""

    def __init__(self, arch):
        self.machine = m = Machine(arch, "16M", swap="16M", config={"transparent_hugepage": True})
        lab, rmap = m.lab, m.rmap
        mm, file = lab.mm(), lab.file(4)
        flags = VmFlag.READ | VmFlag.WRITE
        vma, other = lab.vma(mm, START, 4), lab.vma(mm, 2 * START, 4)
        rmap.anon_vma_prepare(vma)
        page = lab.page()
        rmap.page_add_new_anon_rmap(page, vma, START)
        lab.set_pte(mm, START, page, write=True)
        lab.rss(mm, "anon", 1)
        lab.get_page(page)
        self.arguments = {
            "page": page, "check_page": page, "vma": vma, "dst": vma, "src": other, "pvma": other, "mm": mm, "mapping": file,
            "migration": page, "hwpoison": page, "address": START, "exclusive": False, "mapcount": 1, "flags": flags, "cursor": 0,
            "rmap_one": lambda *_: None, "anon_vma": vma.anon_vma, "serial": vma.anon_vma, "anon_vma_chain": 1, "root": vma.anon_vma,
            "start": 4 * START, "npages": 1, "file": file, "index": 2, "owner": None, "value": 1, "kind": "anon", "type": 0, "offset": 3,
            "name": None, "group": 1, "lock": "page", "node": lab.stable_node(lab.page()), "item": 1, "number": 1, "function": None,
        }  # fmt: skip

    def call(self, cls, name, parameter, value):
        bound = getattr(self.machine.lab if cls is Lab else self.machine.rmap, name)
        signature = inspect.signature(getattr(cls, name)).parameters.values()
        wanted = [p for p in signature if p.name != "self" and (p.default is p.empty or p.name == parameter)]
        given = {p.name: value if p.name == parameter else self.arguments[p.name] for p in wanted}
        return bound(**given)


@pytest.fixture(scope="module", params=["s390", "x86_64"])
def world(request):
    """One for all tests, for none may change it."""
    made = World(request.param)
    made.other = World(request.param)
    yield made
    for one in (made, made.other):
        one.machine.check()
        one.machine.close()


@pytest.mark.parametrize(("cls", "name", "parameter"), list(takers(HANDLES, Rmap, Lab)))
def test_a_handle_of_another_machine_is_refused_by_name(world, cls, name, parameter):
    handle = world.other.arguments[parameter]
    before = world.machine.digest()
    with pytest.raises(ValueError, match="another machine") as caught:
        world.call(cls, name, parameter, handle)
    assert repr(handle) in str(caught.value)
    assert world.machine.digest() == before and not world.machine.dead


@pytest.mark.parametrize(("cls", "name", "parameter"), list(takers(HANDLES, Rmap, Lab)))
@pytest.mark.parametrize("value", [7, "x", object()], ids=["int", "str", "object"])
def test_what_is_no_handle_is_a_type_error(world, cls, name, parameter, value):
    if (cls, name) == (Lab, "storage_key") and value == 7:
        return
    before = world.machine.digest()
    with pytest.raises(TypeError):
        world.call(cls, name, parameter, value)
    assert world.machine.digest() == before


@pytest.mark.parametrize(("cls", "name", "parameter"), list(takers({"vma", "dst", "src", "pvma", "mm"}, Rmap, Lab)))
def test_what_is_gone_is_refused_by_name(world, cls, name, parameter):
    lab = world.machine.lab
    mm = lab.mm()
    vma = lab.vma(mm, START, 1)
    if parameter == "mm":
        mm.exit()
    else:
        lab.vma_remove(vma)
    handle = mm if parameter == "mm" else vma
    before = world.machine.digest()
    with pytest.raises(GoneError, match=str(mm.pid) if parameter == "mm" else str(vma.serial)):
        world.call(cls, name, parameter, handle)
    assert world.machine.digest() == before


@pytest.mark.parametrize(("cls", "name", "parameter"), list(takers({"page", "check_page", "migration", "hwpoison"}, Rmap, Lab)))
def test_a_free_page_is_refused_by_name(world, cls, name, parameter):
    lab = world.machine.lab
    page = lab.page()
    lab.put_page(page)
    before = world.machine.digest()
    if (cls, name) == (Lab, "storage_key"):
        return
    with pytest.raises(ValueError, match="is free"):
        world.call(cls, name, parameter, page)
    assert world.machine.digest() == before


@pytest.mark.parametrize(("cls", "name", "parameter"), list(takers(NUMBERS, Rmap, Lab)))
@pytest.mark.parametrize("value", [99, 1 << 40, -1], ids=["unknown", "large", "negative"])
def test_a_number_of_nothing_is_refused(world, cls, name, parameter, value):
    before = world.machine.digest()
    with pytest.raises((GoneError, ValueError)):
        world.call(cls, name, parameter, value)
    assert world.machine.digest() == before


@pytest.mark.parametrize("address", [0, 1, START + 1, 1 << 42, 1 << 47, 1 << 52, 1 << 63, (1 << 64) - 1])
def test_an_address_out_of_range_maps_nothing(world, address):
    m, a = world.machine, world.arguments
    at_home = address & ~(m.page_size - 1) == START
    assert m.rmap.page_referenced_one(a["page"], a["vma"], address, 1)[1] == (0 if at_home else 1)
    assert m.rmap.page_mkclean_one(a["page"], a["vma"], address) == at_home
    for bad in (1 << 64, -1, 1.5, "x"):
        with pytest.raises((ValueError, TypeError)):
            m.rmap.page_check_address(a["page"], a["mm"], bad)
    m.lab.set_pte(a["mm"], START, a["page"], write=True)
    assert not m.dead
