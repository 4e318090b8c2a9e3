# SPDX-License-Identifier: GPL-2.0-only
"""Exceptions of our own: each message is one line that names the place, what was expected and what was found."""


class TraceError(ValueError):
    """A trace that cannot be read: truncated, corrupt, empty, or not of its format."""


class ToolMissing(OSError):
    """A program that has to be installed for this is not (errno ENOENT, filename its name)."""
