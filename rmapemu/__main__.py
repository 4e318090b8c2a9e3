# SPDX-License-Identifier: GPL-2.0-only
"""`python -m rmapemu`, and what the command `rmapemu` calls: the command line, Ctrl-C answered already while it loads."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # what is imported before main() runs is a time in which Ctrl-C ends in a traceback
if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run `rmapemu.cli`. SIGTERM and SIGHUP (a terminal that is closed) end it as Ctrl-C does, unless they are ignored."""
    try:
        _answer_signals()
        from rmapemu.cli import main as command
    except KeyboardInterrupt:
        print("rmapemu: interrupted; nothing was written", file=sys.stderr)
        sys.exit(2)
    command(prog_name="rmapemu")


def _answer_signals() -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
