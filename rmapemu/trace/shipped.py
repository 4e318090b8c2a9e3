# SPDX-License-Identifier: GPL-2.0-only
"""Where the trace is that ships with the project. Models nothing of the kernel; rmapemu.trace.demo records it."""

from importlib.resources import files


def demo_trace() -> str:
    """Path of the shipped trace (Parquet). `open_trace("demo")` opens it too, where no file has that name."""
    return str(files("rmapemu.data") / "demo.parquet")
