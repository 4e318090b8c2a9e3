# SPDX-License-Identifier: GPL-2.0-only
"""The trace that ships with the project, and how it is recorded again: `python -m rmapemu.trace.demo OUT.parquet`."""

from __future__ import annotations

from importlib.resources import files


def demo_trace() -> str:
    """Path of the shipped trace (Parquet); docs/recording.md says what it is."""
    return str(files("rmapemu.data") / "demo.parquet")
