# SPDX-License-Identifier: GPL-2.0-only
"""Archs by name, found through the entry-point group ``rmapemu.arch`` and loaded when they are asked for.

An entry point names a `Backend`, or a `Format` (which is then interpreted). Nothing here knows a named arch.
"""

from __future__ import annotations

import dataclasses
import difflib
from importlib.metadata import EntryPoint, entry_points

from rmapemu.hw.format import Format
from rmapemu.hw.interpreted import Interpreted
from rmapemu.hw.ops import Backend

GROUP = "rmapemu.arch"


@dataclasses.dataclass(frozen=True)
class Found:
    """One arch that is installed. `backend` is None where it could not be loaded; `problem` then says why."""

    name: str
    source: str
    backend: Backend | None
    problem: str | None


def _entries() -> dict[str, list[EntryPoint]]:
    """Entry points by name, each name's in a fixed order. The same one found twice on the path counts once."""
    named: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        others = named.setdefault(entry.name, [])
        if all(entry.value != other.value for other in others):
            others.append(entry)
    return named


def names() -> list[str]:
    """The names of the archs that are installed, sorted; none is loaded."""
    return sorted(_entries())


def _load(name: str, entries: list[EntryPoint]) -> Found:
    source = ", ".join(entry.value for entry in entries)
    if len(entries) > 1:
        return Found(name, source, None, f"{len(entries)} archs are called {name!r}: {source}")
    try:
        loaded = entries[0].load()
        backend = _backend(loaded, name)
    except Exception as error:  # whatever a foreign module raises is reported, not passed on
        return Found(name, source, None, f"{type(error).__name__}: {error}")
    return Found(name, source, backend, None)


def _backend(thing: object, name: str | None = None) -> Backend:
    if isinstance(thing, Backend):
        return thing
    if isinstance(thing, Format):
        return Interpreted(thing, name=name)
    raise TypeError(f"expected an arch's name, a Backend or a Format, not {type(thing).__name__}")


def available() -> list[Found]:
    """Every installed arch, loaded, sorted by name; broken ones and duplicates are in it with their problem."""
    return [_load(name, entries) for name, entries in sorted(_entries().items())]


def get(arch: str | Backend | Format) -> Backend:
    """The backend of that name, or for a `Format` its interpreted one; a `Backend` is handed back.

    ValueError where the name is unknown (with the near matches and all that there are) or the arch is broken.
    """
    if not isinstance(arch, str):
        return _backend(arch)
    entries = _entries()
    if arch not in entries:
        near = difflib.get_close_matches(arch[:60].lower(), entries, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"unknown arch {arch[:60]!r}{hint} (available: {', '.join(sorted(entries)) or 'none'})")
    found = _load(arch, entries[arch])
    if found.backend is None:
        raise ValueError(f"arch {arch!r} cannot be used: {found.problem}")
    return found.backend
