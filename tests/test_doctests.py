# SPDX-License-Identifier: GPL-2.0-only
"""Every example in a docstring runs and gives what it shows, in compiled modules too."""

import doctest
import importlib
import pkgutil

import pytest

import rmapemu
import rmapemu.arch

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def all_modules():
    for package in (rmapemu, rmapemu.arch):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield found.name


def examples(name):
    """The doctests of a module; cdef classes and their methods included, which doctest's finder would pass over."""
    module = importlib.import_module(name)
    finder, parser = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestParser()
    tests = {test.name: test for test in finder.find(module, name)}
    for owner_name, owner in vars(module).items():
        if getattr(owner, "__module__", None) != name:
            continue
        members = vars(owner).items() if isinstance(owner, type) else ()
        for label, thing in [(f"{name}.{owner_name}", owner), *((f"{name}.{owner_name}.{k}", v) for k, v in members)]:
            text = getattr(thing, "__doc__", None)
            if isinstance(text, str) and ">>>" in text and label not in tests:
                tests[label] = parser.get_doctest(text, dict(vars(module)), label, getattr(module, "__file__", None), 0)
    return [test for test in tests.values() if test.examples]


@pytest.mark.parametrize("name", ["rmapemu", *sorted(all_modules())])
def test_the_examples_of_a_module_give_what_they_show(name):
    failed = []
    for test in examples(name):
        said = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=said.append)
        if runner.summarize(verbose=False).failed:
            failed.append("".join(said))
    assert not failed, "\n".join(failed)


def test_an_example_that_is_wrong_is_found(monkeypatch):
    monkeypatch.setattr(rmapemu, "get_include", lambda: "", raising=True)
    rmapemu.get_include.__doc__ = ">>> 1 + 1\n3\n"
    rmapemu.get_include.__module__ = "rmapemu"
    (found,) = (test for test in examples("rmapemu") if test.name.endswith("get_include"))
    assert doctest.DocTestRunner(optionflags=FLAGS).run(found, out=lambda text: None).failed == 1
