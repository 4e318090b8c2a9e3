# SPDX-License-Identifier: GPL-2.0-only
"""Tables for terminals and pipes, progress bars."""

from rmapemu.report.console import Progress, console, print_rows

__all__ = ["Progress", "console", "print_rows"]
