# SPDX-License-Identifier: GPL-2.0-only
"""docs/workbench.md against the workbench, in both directions; its examples run."""

import doctest
import re

import pytest

from rmapemu.machine.lab import Lab
from rmapemu.machine.rmap_face import Rmap


def named(text, head):
    """What the table under that head names."""
    (table,) = re.findall(rf"\| what \| `m\.{head}\.` \|\n((?:\|.*\n)+)", text)
    return sorted(name for line in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", line))


@pytest.mark.parametrize(("cls", "head"), [(Lab, "lab"), (Rmap, "rmap")])
def test_the_tables_name_every_function_once(tree, cls, head):
    public = [name for name in dir(cls) if not name.startswith("_") and name != "machine"]
    assert named((tree / "docs/workbench.md").read_text(), head) == sorted(public)
    assert not [name for name in public if not getattr(cls, name).__doc__]


def test_the_examples_run(tree):
    failed, tried = doctest.testfile(str(tree / "docs/workbench.md"), module_relative=False)
    assert tried > 15 and failed == 0
