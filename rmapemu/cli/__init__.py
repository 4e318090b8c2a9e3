# SPDX-License-Identifier: GPL-2.0-only
"""The command line: `rmapemu replay`, `record`, `arch`."""

from rmapemu.cli.app import main

__all__ = ["main"]
