# SPDX-License-Identifier: GPL-2.0-only
"""Text formats with an access a line: `lackey:` (valgrind's memory trace) and `rw:` (`hexaddr R|W`).

Models nothing of the kernel. Lackey prints `I  addr,size` for an instruction fetch, ` L`, ` S` and ` M addr,size` for
a load, a store, and both; other lines (valgrind's `==PID==`, what the program printed) are skipped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from rmapemu.trace._text import ERROR_LINE, REASONS, Scanner
from rmapemu.trace.base import Batch, Options, TraceStats
from rmapemu.trace.source import Source

BLOCK_BYTES = 1 << 18  # fits a second-level cache: 1 << 20 took 1.1x the time
LINE_SHOWN_BYTES = 60


class TextReader:
    """A Reader of lines; `shape` is the line in words, `first` recognises one, `preamble` what may stand before."""

    def __init__(self, shape: str, first: str, preamble: str, sized: bool):
        self.shape, self.sized = shape, sized
        self._first, self._preamble = re.compile(first.encode()), re.compile(preamble.encode())

    def sniff(self, head: bytes) -> bool:
        if b"\0" in head:
            return False
        lines = head.splitlines()
        return any(map(self._first.fullmatch, lines)) or (bool(lines) and bool(self._preamble.match(lines[0])))

    def read(self, source: Source, options: Options, stats: TraceStats) -> Iterator[Batch]:
        scanner = Scanner(lackey=self.sized, instructions=options.instructions)
        text = bytearray(BLOCK_BYTES)
        start = stop = 0
        ended = False
        while not ended or start < stop:
            address = np.empty(options.batch, np.uint64)
            size, kind = np.empty(options.batch, np.uint32), np.empty(options.batch, np.uint8)
            filled = 0
            while filled < options.batch:
                start, filled = scanner.scan(text, start, stop, address, size, kind, filled)
                if scanner.error:
                    raise self._error(source, scanner, text, start, stop, ended)
                if filled == options.batch or (ended and start == stop):
                    break
                start, stop, ended = _refill(source, text, start, stop)
            stats.skipped_lines, stats.modifies = scanner.skipped, scanner.modifies
            if filled:
                yield Batch(None, address[:filled], size[:filled] if self.sized else None, kind[:filled])

    def _error(self, source: Source, scanner: Scanner, text: bytearray, start: int, stop: int, ended: bool) -> Exception:
        found = bytes(text[start:stop]).split(b"\n", 1)[0][:LINE_SHOWN_BYTES]
        cut = ended and text.find(b"\n", start, stop) in (-1, stop - 1)
        expected = self.shape if scanner.error == ERROR_LINE else REASONS[scanner.error]
        where = f"line {scanner.lines + 1}{' (the last one, cut short?)' if cut else ''}"
        return source.error(where, expected, repr(found)[1:])


def _refill(source: Source, text: bytearray, start: int, stop: int) -> tuple[int, int, bool]:
    """Move what is left to the front and read on behind it: (start, stop, at the end). A last line gets its newline."""
    left = stop - start
    text[:left] = text[start:stop]
    if left >= len(text) - 1:
        text.extend(bytes(len(text)))
    with memoryview(text) as view:
        count = source.stream.readinto(view[left:])
    if count:
        return 0, left + count, False
    if left and text[left - 1] != 10:
        text[left] = 10
        left += 1
    return 0, left, True


LACKEY = TextReader("an access like ' L 04025310,8'", r"(I |[ ][LSM]) [0-9a-f]{1,16},\d{1,7}\r?", r"==\d+== Lackey", sized=True)
RW = TextReader("an access like '7ff0a8 R'", r"[ \t]*(0[xX])?[0-9a-fA-F]{1,16}[ \t]+[RrWw][ \t]*\r?", r"(?!)", sized=False)
