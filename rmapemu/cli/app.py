# SPDX-License-Identifier: GPL-2.0-only
"""The command `rmapemu` and what becomes of errors: one line on standard error and an exit status.

2: wrong usage, bad input, an output that cannot be written, Ctrl-C. 1: other failures. Outputs are whole or not there.
"""

from __future__ import annotations

import errno
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from rmapemu.errors import KernelBug, RmapemuError

INPUT_ERRORS = (ValueError, TypeError, OSError, RmapemuError)

NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""Nothing was asked for, and the help is the answer; click before 8.2 prints it by itself."""

COMMANDS = {
    "arch": "rmapemu.cli.arch:arch",
    "record": "rmapemu.cli.record:record",
    "replay": "rmapemu.cli.replay:replay",
}
"""Each is imported when it is asked for: `rmapemu arch list` does not wait for what a replay needs."""


class OneLineErrors(click.Group):
    """A group whose commands end with one line on standard error instead of a traceback or a page of usage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            near = get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(COMMANDS)})"
            raise click.UsageError(f"no such command {cmd_name!r}{hint}", ctx)
        command: click.Command = getattr(import_module(module), name)
        return command

    def main(self, *args: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False
        _open_what_is_closed()
        try:
            status = super().main(*args, **extra)
            sys.stdout.flush()
        except BaseException as error:
            status = self._ended_by(error)
            if status is None:
                raise
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would print an empty line
            raise click.ClickException("interrupted; nothing was written") from None

    def _ended_by(self, error: BaseException) -> int | None:
        """The exit status, after saying why; None for an error that is ours to mend."""
        if isinstance(error, click.exceptions.Exit):
            return error.exit_code
        if isinstance(error, (KeyboardInterrupt, click.Abort)):
            return say("interrupted; nothing was written")
        if isinstance(error, NO_ARGUMENTS):
            click.echo(error.ctx.get_help(), err=True)
            return 2
        if isinstance(error, click.ClickException):
            context = getattr(error, "ctx", None)
            hint = f" (see '{context.command_path} --help')" if context is not None else ""
            return say(error.format_message().rstrip(".") + hint)
        if isinstance(error, BrokenPipeError):
            return _closed_output()
        if isinstance(error, KernelBug):
            return say(f"kernel bug: {error}", 1)
        if isinstance(error, INPUT_ERRORS):
            return say(_text(error))
        if isinstance(error, MemoryError):
            return say(f"this computer's memory is too small: {error}", 1)
        return None


def say(text: str, status: int = 2) -> int:
    """One line on standard error; gives the status."""
    click.echo(f"rmapemu: {' '.join(text.split())}", err=True)
    return status


def _open_what_is_closed() -> None:
    """`>&-`: nothing is there instead, lest the next file that is opened gets the number of standard output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:  # files are named where they are written
        return f"standard output: {error.strerror}"
    if isinstance(error, OSError) and error.strerror and error.errno != errno.ENOMEM:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _closed_output() -> int:
    """The reader of standard output is gone (`| head`): what is still buffered must not be said again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rmapemu", message="%(prog)s %(version)s")
def main() -> None:
    """A Linux machine's memory management, emulated: real page-table bits, a real reverse map, no kernel.

    \b
    rmapemu replay demo -m 10%                     the trace that ships with it
    rmapemu record -o sort.parquet -- sort FILE    record a program
    rmapemu replay sort.parquet -m 10% --arch x86_64 --arch s390
    """
