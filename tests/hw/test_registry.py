# SPDX-License-Identifier: GPL-2.0-only
"""Archs are found by name, lazily; what is broken is reported and does not break the others."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from rmapemu.hw import registry


def points(monkeypatch, **named):
    """Pretend that these entry points are installed: name -> value or list of values."""
    entries = [
        EntryPoint(name=name, value=v, group=registry.GROUP)
        for name, values in named.items()
        for v in ([values] if isinstance(values, str) else values)
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [e for e in entries if e.group == group])


def test_a_name_a_backend_and_a_format_all_give_a_backend(arch):
    backend = registry.get(arch)
    assert registry.get(arch) is backend
    assert registry.get(backend) is backend
    interpreted = registry.get(backend.format)
    assert interpreted.name == arch
    assert interpreted is not backend


def test_an_unknown_arch_is_refused_with_the_near_matches():
    with pytest.raises(ValueError, match=r"unknown arch 'x86-64'; did you mean 'x86_64'\? \(available: .*s390.*x86_64"):
        registry.get("x86-64")
    with pytest.raises(ValueError, match=r"unknown arch 'vax' \(available: "):
        registry.get("vax")


def test_something_else_than_an_arch_is_refused():
    with pytest.raises(TypeError, match="expected an arch's name, a Backend or a Format, not int"):
        registry.get(7)


def test_a_broken_arch_is_reported_and_the_others_work(monkeypatch):
    points(monkeypatch, good="rmapemu.arch.s390:ARCH", gone="no_such_module:ARCH", odd="math:pi")
    found = {f.name: f for f in registry.available()}
    assert found["good"].problem is None
    assert found["gone"].backend is None
    assert "ModuleNotFoundError" in found["gone"].problem
    assert "not float" in found["odd"].problem
    with pytest.raises(ValueError, match="arch 'gone' cannot be used: ModuleNotFoundError"):
        registry.get("gone")
    assert registry.get("good").name == "s390"


def test_two_archs_of_one_name_are_reported_unless_they_are_the_same(monkeypatch):
    points(monkeypatch, a=["rmapemu.arch.s390:ARCH", "rmapemu.arch.x86_64:ARCH"], b=["rmapemu.arch.s390:ARCH"] * 2)
    with pytest.raises(ValueError, match="2 archs are called 'a'"):
        registry.get("a")
    assert registry.get("b").name == "s390"
    assert registry.names() == ["a", "b"]


def test_no_arch_is_loaded_before_it_is_asked_for():
    code = (
        "import sys; from rmapemu.hw import registry; registry.names(); registry.get('s390');"
        "print([m for m in sys.modules if m.startswith('rmapemu.arch.') and m.endswith('backend')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['rmapemu.arch.s390.backend']"
