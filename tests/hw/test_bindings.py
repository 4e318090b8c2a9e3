# SPDX-License-Identifier: GPL-2.0-only
"""One source, two bindings: compiled and interpreted do the same to every bit and every counter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmapemu.hw import registry
from rmapemu.hw.bench import Mmu
from rmapemu.hw.interpreted import Interpreted

PAGE = 4096
va = st.builds(lambda base, n: base + n * PAGE, st.sampled_from([0, 1 << 20, 1 << 21, 1 << 31, (1 << 42) - (1 << 20), 1 << 42]),
               st.integers(0, 3))
pfn = st.integers(1, 9)
space = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("map"), va, pfn, st.integers(0, 15), st.booleans(), space),
    st.tuples(st.just("access"), va, st.sampled_from("rwx"), space, st.sampled_from(["plain", "ahead", "traced"])),
    st.tuples(st.just("referenced"), va, pfn, st.just(False), space),
    st.tuples(st.just("check_address"), va, pfn, st.just(False), space),
    st.tuples(st.sampled_from(["clear_flush", "clear_flush_young", "flush_page", "get", "get_pmd"]), va, space),
    st.tuples(st.just("flush_mm"), space),
    st.tuples(st.just("runs"), st.sampled_from(["scan", "clear", "copy", "protect"]), va, st.booleans(), st.booleans()),
    st.tuples(st.just("free"), va, st.integers(1, 1 << 32), space),
    st.tuples(st.sampled_from(["test_and_clear_young", "test_and_clear_dirty", "set_uptodate", "kernel_access"]), pfn),
    st.tuples(st.just("grow"), st.just((1 << 42) + 8 * PAGE), space),
    st.tuples(st.just("demand"), st.integers(-1, 15)),
    st.tuples(st.just("limit_tables"), st.sampled_from([0, 1, 2, 5, -1])),
)


def do(mmu, step):
    """One step; whatever it gives back, errors included, as something that compares."""
    name, *args = step
    try:
        if name == "runs":
            what, at, cow, shared = args
            return mmu.run(what, at, at + 4 * PAGE, to=1, cow=cow, shared=shared, prot=mmu.backend.format.prot[1])
        if name == "free":
            at, size, where = args
            return mmu.free_range(at, at + size, floor=at, ceiling=at + size, space=where)
        result = getattr(mmu, name)(*args)
    except MemoryError as error:
        return str(error)
    return tuple(map(str, result)) if isinstance(result, tuple) else result


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("arch", ["s390", "x86_64"])
@given(steps=st.lists(STEPS, max_size=50))
def test_both_bindings_agree_after_every_step(arch, exact, steps):
    compiled = registry.get(arch)
    twins = [Mmu(b, frames=128, spaces=2, exact=exact) for b in (compiled, Interpreted(compiled.format))]
    for step in steps:
        assert do(twins[0], step) == do(twins[1], step)
        assert twins[0].cost == twins[1].cost
    assert twins[0].memory.tobytes() == twins[1].memory.tobytes()
    assert twins[0].keys.tobytes() == twins[1].keys.tobytes()
    assert twins[0].faults == twins[1].faults
