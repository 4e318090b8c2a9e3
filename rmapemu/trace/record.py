# SPDX-License-Identifier: GPL-2.0-only
"""Record a program's memory accesses: run it under valgrind's lackey and stream what that prints into Parquet.

Models nothing of the kernel. Lackey prints to a pipe of its own, so the program keeps its input, output and errors.
One process is recorded: lackey does not print which process a line is of, so a child is silent from its fork on.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from rmapemu.errors import ToolMissing
from rmapemu.trace.base import Batch
from rmapemu.trace.parquet import TraceWriter
from rmapemu.trace.reading import open_trace

OPTIONS = ("--tool=lackey", "--basic-counts=no", "--trace-mem=yes", "--child-silent-after-fork=yes")
"""What valgrind is told, besides where to print."""

RECORD_BATCH = 1 << 18
PIPE_BYTES = 1 << 20
PATIENCE_SECONDS = 0.2
F_SETPIPE_SZ = 1031


class RecordResult(NamedTuple):
    """accesses: recorded ones. seconds: wall time. bytes: of the file. status: exit status of the program, or minus
    the signal that ended it, as subprocess gives it."""

    accesses: int
    seconds: float
    bytes: int
    status: int


Progress = Callable[[int, float, int], None]


def record(
    output: str | os.PathLike[str],
    argv: Sequence[str],
    *,
    instructions: bool = True,
    progress: Progress | None = None,
    level: int = 3,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> RecordResult:
    """Run `argv` under valgrind and write its accesses to `output` (our Parquet, with a pid column).

    instructions: False leaves instruction fetches out. progress(accesses, seconds, bytes): called as it goes on, with
    the bytes of the file so far. level: of zstd. env, cwd: the program's, if not ours.
    A program that fails leaves a trace all the same: see `status`.
    On an error or Ctrl-C the program is killed and nothing is left of the file.
    Raises ToolMissing without valgrind, FileNotFoundError without the program, PermissionError where it cannot be
    executed, OSError (a full disk), TraceError.
    """
    command = _command(argv)
    began = perf_counter()
    status = 0
    with TraceWriter(output, metadata={"command": shlex.join(map(str, argv))}, level=level) as out:
        for done in _recording(command, out, instructions, env, cwd):
            status = done
            if progress is not None:
                progress(out.accesses, perf_counter() - began, out.bytes_written)
    return RecordResult(out.accesses, perf_counter() - began, os.stat(output).st_size, status)


def _command(argv: Sequence[str]) -> list[str]:
    """valgrind's command line but for where it prints; says what is missing before anything is started."""
    if isinstance(argv, (str, bytes)) or not argv:
        raise ValueError("expected a command as a list of a program and its arguments")
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise ToolMissing(errno.ENOENT, "recording needs valgrind, which is not installed", "valgrind")
    program = shutil.which(argv[0])
    if program is None and os.path.dirname(argv[0]) and os.path.exists(argv[0]):
        raise PermissionError(errno.EACCES, "not an executable file", argv[0])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, "no such program", argv[0])
    return [valgrind, *OPTIONS, program, *argv[1:]]


def _recording(command: list[str], out: TraceWriter, instructions: bool, env: Any, cwd: Any) -> Iterator[int]:
    """Start it and take what it prints until it has ended: 0 after each batch, at last its exit status.

    It is killed if anything goes wrong.
    """
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe:
        try:
            _widen(pipe)
            command = [*command[:1], f"--log-fd={writing}", *command[1:]]
            child = subprocess.Popen(command, pass_fds=(writing,), env=env, cwd=cwd)
        finally:
            os.close(writing)
        try:
            log: Any = _Log(pipe, child)
            trace = open_trace(("lackey", log), batch=RECORD_BATCH, instructions=instructions)
            for batch in trace:
                out.write(Batch(np.full(batch.accesses, child.pid, np.uint32), *batch[1:]))
                yield 0
            yield child.wait()
        except BaseException:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            raise
        finally:
            child.wait()


def _widen(pipe: io.FileIO) -> None:
    """A larger pipe saves switches between the two; where the system refuses, the usual one does."""
    import fcntl

    try:
        fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """As child.poll(), and child.kill(), would ask, which hold a lock when Ctrl-C strikes them, for which wait() then waits for ever."""
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # SIGCHLD is ignored: nobody is left to be waited for
        return True


class _Log(io.RawIOBase):
    """The pipe until the program has ended, also where a daemon that it left behind still holds the other end."""

    name = "valgrind"

    def __init__(self, pipe: io.FileIO, child: subprocess.Popen[bytes]):
        self._pipe, self._child = pipe, child

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while True:
            ended = _has_ended(self._child)
            ready, _, _ = select.select([self._pipe], [], [], 0 if ended else PATIENCE_SECONDS)
            if ready:
                return self._pipe.readinto(buffer) or 0
            if ended:
                return 0
