# SPDX-License-Identifier: GPL-2.0-only
"""`python -m rmapemu`, and what the command `rmapemu` calls: the command line, Ctrl-C answered already while it loads."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run `rmapemu.cli`. SIGTERM and SIGHUP (a terminal that is closed) end it as Ctrl-C does, unless they are ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        from rmapemu.cli import main as command
    except KeyboardInterrupt:
        print("rmapemu: interrupted; nothing was written", file=sys.stderr)
        sys.exit(2)
    command(prog_name="rmapemu")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
