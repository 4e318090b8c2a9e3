# SPDX-License-Identifier: GPL-2.0-only
"""The walker's source, included by every compiled arch: no module is built here."""
