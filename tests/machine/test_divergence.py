# SPDX-License-Identifier: GPL-2.0-only
"""What comes out when a machine and its model differ: the step, both answers, and a script that leads there."""

import pytest

from rmapemu.machine.file import File
from support.agreement import Divergence
from support.pair import Pair


@pytest.fixture
def pair(arch):
    made = Pair(arch, "8M", "4M", roomy=True)
    made.spawn()
    yield made
    made.script.m.close()


def script_of(divergence: pytest.ExceptionInfo[Divergence]) -> str:
    text = str(divergence.value)
    return text[text.index("from contextlib") :]


def map_and_write(pair: Pair) -> None:
    mm = pair.processes["p1"][1]
    pair.do("p1.mmap(4 * 4096, 'rw', 'private|anonymous', addr=0x100000, fixed=True)", lambda: mm.mmap(0x100, 0x104, 3))
    pair.do("p1.write(0x101000, 7)", lambda: mm.access(0x101, "w", 7) and None)
    pair.do("p1.read(0x200000)", lambda: mm.access(0x200))
    pair.check()


def test_another_result_names_both_and_the_script_leads_to_the_machines(pair):
    map_and_write(pair)
    with pytest.raises(Divergence, match=r"p1\.read\(0x101000\): the machine says \('ok', 7\), the model \('ok', 8\)") as caught:
        pair.do("p1.read(0x101000)", lambda: 8)
    names = {}
    exec(script_of(caught), names)
    assert names["p1"].read(0x101000) == 7
    names["m"].close()


def test_another_state_is_noticed_after_the_step_that_made_it(pair):
    map_and_write(pair)
    mm = pair.processes["p1"][1]
    mm.ptes[0x101].page.mlocked = True
    with pytest.raises(Divergence, match="is mlocked: the machine has False, the model True"):
        pair.check()
    mm.ptes[0x101].page.mlocked = False
    mm.hiwater_rss += 1
    with pytest.raises(Divergence, match="hiwater_rss of 1: the machine has 0, the model 1"):
        pair.check()


def test_a_clone_that_differs_after_a_failed_allocation_has_the_failure_in_its_script(pair):
    map_and_write(pair)
    pair.armed = (1, 1, "vm_area_struct")
    with pytest.raises(Divergence) as caught:
        # the model leaves the page alone, so that the clone on which the failed call is made again has one too few
        pair.do("p1.munmap(0x101000, 4096)", lambda: None)
    script = script_of(caught)
    assert script.splitlines()[-5:] == [
        "m.lab.fail_alloc(1, 1, 'vm_area_struct')",
        "with suppress(Exception): p1.munmap(0x101000, 4096)",
        "m.lab.fail_alloc(0)",
        "p1.munmap(0x101000, 4096)",
        "m.check()",
    ]
    names = {}
    exec(script, names)
    assert names["p1"].vma_at(0x101000) is None
    names["m"].close()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_stack_that_could_not_grow_by_its_guard_page_is_no_divergence(pair, lost):
    # the first fault in the new stack grows it by one page, and an anon_vma that cannot be had for that is told to nobody
    pair.armed = (1, 1, "anon_vma")
    mm = pair.processes["p1"][1]

    def exec_() -> None:
        mm.exec()
        mm.vmas.all[0].start -= lost  # one page more is not what the kernel hides

    if lost:
        with pytest.raises(Divergence, match="pages of 1"):
            pair.do("p1.exec()", exec_, atomic=True)
        return
    pair.do("p1.exec()", exec_, atomic=True)
    assert pair.armed is None
    pair.check()


def test_the_file_of_a_clone_goes_by_number_and_generation(pair):
    pair.create("regular", 8192)
    file = pair.script.names["f2"]
    assert isinstance(file, File)
    with pair.script.m.clone() as clone:
        twin = File(clone, file.ino, file.generation)
        twin.truncate(0)
        assert (twin.size, file.size) == (0, 8192)
