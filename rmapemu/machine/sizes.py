# SPDX-License-Identifier: GPL-2.0-only
"""Arguments as people write them: sizes like ``"64M"``, names out of a set, with what was meant in the error."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable
from typing import Any

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTPE]?)(?:i?B)?\s*", re.IGNORECASE)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


def parse_size(value: Any, name: str = "size") -> int:
    """Bytes from an int or a string with a binary unit.

    >>> parse_size(4096), parse_size("64M"), parse_size("1.5 GiB")
    (4096, 67108864, 1610612736)
    >>> parse_size("many", "memory")
    Traceback (most recent call last):
    ...
    ValueError: memory='many': expected bytes, or a number with K, M, G or T such as '64M'
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"{name}={value!r}: expected bytes, or a number with K, M, G or T such as '64M'")
        whole = match[1].replace(".", "")
        tenths = len(whole) - len(match[1].split(".")[0])
        if len(whole) > 30:
            raise ValueError(f"{name}: a number of {len(whole)} digits is too large")
        size = (int(whole) << _UNITS[match[2].upper()]) // int(10**tenths)
    else:
        size = parse_int(value, name, 0)
    if size >= 1 << 63:
        raise ValueError(f"{name}={short(size)}: too large")
    return size


def parse_int(value: Any, name: str, low: int = -(1 << 63), high: int = (1 << 64) - 1) -> int:
    """An int from low to high (NumPy integers count; bools, floats and strings do not)."""
    if isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected an int")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={value!r}: expected an int, not {type(value).__name__}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}={short(number)}: expected {short(low)} to {short(high)}")
    return number


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Two values from a tuple, such as the type and offset of a swap slot."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name}={value!r}: expected a tuple of two")
    return value[0], value[1]


def short(number: int) -> str:
    """The number, those of many digits in hexadecimal and cut.

    >>> short(255), short(1 << 64), short(1 << 20000)
    ('255', '0x10000000000000000', '0x1000000000000000... (20001 bits)')
    """
    if abs(number) < 1 << 33:
        return str(number)
    text = hex(number)
    return text if len(text) < 24 else f"{text[:18]}... ({number.bit_length()} bits)"


def pick(value: Any, names: Iterable[str], name: str) -> str:
    """The value, if it is one of the names; else a ValueError with the near ones.

    >>> pick("x86-64", ["s390", "x86_64"], "arch")
    Traceback (most recent call last):
    ...
    ValueError: arch='x86-64': unknown; did you mean 'x86_64'? (known: s390, x86_64)
    """
    known = sorted(names)
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected one of {', '.join(known)}")
    if value in known:
        return value
    near = meant(value, known)
    raise ValueError(f"{name}={shown(value)}: unknown{'; ' + near if near else ' '}(known: {', '.join(known)})")


SHOWN = 60


def shown(value: str) -> str:
    """The text quoted, and cut where it is long."""
    return repr(value if len(value) <= SHOWN else value[:SHOWN] + "...")


def meant(value: str, known: Iterable[str]) -> str:
    """``"did you mean ...? "`` with the near matches, or nothing."""
    names = {name.lower(): name for name in known}
    near = [names[name] for name in difflib.get_close_matches(value[:SHOWN].lower(), names, 3, 0.5)]
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""
