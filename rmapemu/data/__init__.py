# SPDX-License-Identifier: GPL-2.0-only
"""The trace that ships with the project."""
