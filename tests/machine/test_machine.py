# SPDX-License-Identifier: GPL-2.0-only
"""Machine: what it refuses, what it shows, and that copies are exact."""

import numpy as np
import pytest

from rmapemu import BusError, GoneError, Machine, SegmentationFault


def fill(machine, npages=8):
    process = machine.spawn("init")
    heap = process.mmap(npages * machine.page_size)
    process.access(heap.start + machine.page_size * np.arange(npages), "w")
    return process, heap


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"arch": "x86"}, "x86_64"),
        ({"memory": "much"}, "memory='much'"),
        ({"memory": -1}, "memory=-1"),
        ({"memory": "8K"}, "least that runs"),
        ({"memory": "16M", "frames": 8}, "one of them"),
        ({"frames": 0}, "frames=0"),
        ({"reclaim": "v3.3"}, "v3.2"),
        ({"rmap": "chains"}, "v3.2"),
        ({"keys": "latched"}, "tlb-latched"),
        ({"thp": "always"}, "madvise"),
        ({"config": {"DEBUG": True}}, "debug_vm"),
        ({"swap": "1"}, "swap"),
    ],
)
def test_a_bad_argument_is_named_with_what_would_have_been_right(arguments, says):
    with pytest.raises(ValueError, match=says):
        Machine(**arguments)


@pytest.mark.parametrize("arguments", [{"memory": 1.5}, {"frames": "8"}, {"seed": "x"}, {"config": {1: 1}}, {"swap": object()}])
def test_an_argument_of_a_wrong_type_is_a_type_error(arguments):
    with pytest.raises(TypeError):
        Machine(**arguments)


def test_a_clone_is_exact_and_shares_nothing(machine):
    process, heap = fill(machine)
    child = process.fork()
    twin = machine.clone()
    assert twin.dump() == machine.dump()
    assert twin.digest() == machine.digest()
    child.write(heap.start, 5)
    assert twin.digest() != machine.digest()
    twin.processes[1].write(heap.start, 5)
    twin.check()
    assert twin.dump() == machine.dump()


def test_two_machines_that_did_the_same_are_the_same(arch):
    digests = set()
    for _ in range(2):
        machine = Machine(arch, "1M", swap="2M")
        fill(machine, 300)
        machine.check()
        digests.add(machine.digest())
    assert len(digests) == 1


def test_a_machine_cannot_be_closed_under_a_view_of_its_memory(arch):
    machine = Machine(arch, "16M")
    frames = machine.mem_map
    assert len(frames) == machine.nr_frames
    with pytest.raises(BufferError):
        machine.close()
    del frames
    machine.close()
    assert machine.closed
    with pytest.raises(ValueError, match="closed"):
        machine.spawn()


def test_mem_map_and_physical_memory_are_read_only_and_live(machine):
    process, heap = fill(machine)
    page = process.page_at(heap.start)
    frames = machine.mem_map
    assert frames[page.pfn]["mapcount"] == 1
    process.fork()
    assert frames[page.pfn]["mapcount"] == 2
    with pytest.raises(ValueError, match="read-only"):
        frames[page.pfn] = 0
    table = machine.physical_memory(process.root // machine.page_size)
    assert table.any() and not table.flags.writeable


def test_an_entry_of_physical_memory_has_this_computers_byte_order(machine):
    process, heap = fill(machine)
    raw = process.pte_at(heap.start).raw
    assert raw in machine.physical_memory().view(np.uint64)


def test_measure_gives_the_difference(machine):
    process, heap = fill(machine)
    with machine.measure() as cost:
        process.write(heap.start)
    assert cost.accesses == 1
    assert cost.as_dict()["lock_anon_vma"] == cost.locks["anon_vma"]
    with pytest.raises(AttributeError, match="known"):
        cost.nothing  # noqa: B018


def test_sysctl_knows_its_names_and_limits(machine):
    machine.sysctl.swappiness = 10
    machine.sysctl["page-cluster"] = 0
    assert dict(machine.sysctl)["page-cluster"] == machine.sysctl.page_cluster == 0
    with pytest.raises(ValueError, match="swappiness"):
        machine.sysctl.swappiness = 101
    with pytest.raises(AttributeError, match="swappiness"):
        machine.sysctl.swapiness = 1
    before = machine.sysctl.min_free_kbytes
    machine.sysctl.min_free_kbytes = 2 * before
    assert machine.dump()["machine"]["watermarks"][0][0] == 2 * before * 1024 // machine.page_size


def test_handles_of_another_machine_are_refused(machine, arch):
    other = Machine(arch, "16M")
    process, heap = fill(other)
    page = process.page_at(heap.start)
    for call in (
        lambda: machine.rmap.page_referenced(page),
        lambda: machine.rmap.anon_vma_prepare(heap),
        lambda: machine.lab.get_pte(process, heap.start),
        lambda: machine.lab.page_flags(page) if hasattr(machine.lab, "page_flags") else machine.lab.flags(page),
    ):
        with pytest.raises(ValueError, match="another machine"):
            call()


def test_a_handle_whose_object_is_gone_says_so(machine):
    process, heap = fill(machine)
    file = machine.file(machine.page_size)
    page = process.page_at(heap.start)
    process.munmap(heap.start, len(heap))
    with pytest.raises(GoneError, match="unmapped"):
        _ = heap.vm_start
    with pytest.raises(ValueError, match="free"):
        machine.rmap.page_referenced(page)
    process.exit()
    with pytest.raises(GoneError, match="process 1"):
        process.maps()
    file.close()
    with pytest.raises(GoneError, match="file"):
        _ = file.size
    assert "gone" in repr(heap) + repr(process)


def test_a_fault_that_cannot_be_served_names_address_and_reason(machine):
    process, heap = fill(machine)
    size = machine.page_size
    with pytest.raises(SegmentationFault) as caught:
        process.access([heap.start, 0x1000], "r")
    assert (caught.value.address, caught.value.reason, caught.value.pid, caught.value.completed) == (0x1000, "MAPERR", 1, 1)
    constant = process.mmap(size, "r")
    with pytest.raises(SegmentationFault, match="ACCERR"):
        process.write(constant.start)
    mapped = process.mmap(2 * size, "r", file=machine.file(size))
    process.read(mapped.start)
    with pytest.raises(BusError, match="past the end"):
        process.read(mapped.start + size)


@pytest.mark.parametrize("addresses", [[-1], [1.5], [[1]], ["a"], [2**64]])
def test_addresses_that_are_none_are_refused(machine, addresses):
    process, _ = fill(machine)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        process.access(addresses)


def test_status_and_smaps_count_what_is_resident(machine):
    process, heap = fill(machine)
    kb = machine.page_size // 1024
    process.fork()
    (area,) = process.smaps()
    assert area["Rss"] == area["Shared_Dirty"] + area["Shared_Clean"] == 8 * kb
    assert area["Pss"] == 4 * kb
    assert process.status["VmRSS"] == process.status["VmHWM"] == 8 * kb
    assert process.rss == {"file": 0, "anon": 8, "swap": 0}
    assert process.children[0].parent == process
    assert [m.process.pid for m in process.page_at(heap.start).mappers()] == [1, 2]


def test_status_and_smaps_have_the_lines_of_v3_2_in_their_order(machine):
    process, _ = fill(machine)
    names = ["VmPeak", "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "VmData", "VmStk", "VmExe", "VmLib", "VmPTE", "VmSwap"]
    assert list(process.status) == names
    assert list(process.maps()[0].smaps()) == [
        "Size", "Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Referenced", "Anonymous",
        "AnonHugePages", "Swap", "KernelPageSize", "MMUPageSize", "Locked",
    ]  # fmt: skip


def test_meminfo_adds_up(machine):
    fill(machine)
    info, stat = machine.meminfo(), machine.vmstat
    kb = machine.page_size // 1024
    assert info["AnonPages"] == 8 * kb == stat["nr_anon_pages"] * kb
    assert info["MemFree"] + info["AnonPages"] + info["PageTables"] == info["MemTotal"]
    assert info["SwapTotal"] == info["SwapFree"]


def test_a_closed_machine_answers_every_call_with_a_value_error():
    machine = Machine(memory="16M")
    rmap, sysctl = machine.rmap, machine.sysctl
    machine.close()
    calls = [lambda: machine.swapon("1M"), lambda: rmap.anon_vma_unlock(1), lambda: rmap.page_unlock_anon_vma(1)]
    calls += [lambda: setattr(sysctl, "min_free_kbytes", 100), lambda: setattr(sysctl, "swappiness", 1), lambda: sysctl.swappiness]
    for call in calls:
        with pytest.raises(ValueError, match="the machine is closed"):
            call()


def test_pss_is_cut_off_to_whole_kilobytes_as_in_v3_2(arch):
    with Machine(arch, "16M") as m:
        process = m.spawn()
        vma = process.mmap(3 * m.page_size)
        process.access([vma.start + i * m.page_size for i in range(3)], "w")
        assert vma.smaps()["Pss"] == 12
        process.fork()
        process.fork()
        assert vma.smaps()["Pss"] == 3  # three thirds of 4 kB, less what each lost
        process.mlock(vma.start, 3 * m.page_size)
        assert vma.smaps()["Locked"] == vma.smaps()["Pss"]
